"""Which column of a table goes to which point: as options and mapping files say it."""

from pathlib import Path

import msgspec
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from core.telemetry.readers.csv_mapping import Column, CsvMapping
from core.telemetry.readers.number_formats import Decimal
from core.telemetry.readers.text import BadFile, read_text

_DECIMALS: dict[str | None, Decimal | None] = {None: None, ".": ".", ",": ","}


def parse_value(text: str) -> Column:
    """`COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]` as a column. Raises BadFile."""
    name, equals, rest = text.rpartition("=")
    if not equals or not name:
        raise BadFile(f"--value {text!r}: give COLUMN=site/area/zone/device/quantity[:UNIT[>UNIT]]")
    point, _, units = rest.partition(":")
    unit, _, wanted = units.partition(">")
    return Column(int(name) if name.isdigit() else name, point, unit, wanted or None)


def parse_decimal(text: str | None) -> Decimal | None:
    """What stands before fractions, if it is said. Raises BadFile."""
    if text not in _DECIMALS:
        raise BadFile(f"--decimal {text!r}: give . or ,")
    return _DECIMALS[text]


def read_mapping(path: Path) -> CsvMapping:
    """A mapping from a YAML file; see CsvMapping for its keys. Raises BadFile."""
    try:
        data = YAML(typ="safe", pure=True).load(read_text(path))
        return msgspec.convert(data, CsvMapping)
    except (BadFile, YAMLError, msgspec.ValidationError) as error:
        raise BadFile(f"{path}: {error}") from error


def only_one(mapping: CsvMapping, options: CsvMapping) -> CsvMapping:
    """The mapping of a file, which says all. Raises BadFile where options of the command say anything besides."""
    if options != CsvMapping():
        raise BadFile("--mapping says how to read the table: put the command's other options into that file")
    return mapping
