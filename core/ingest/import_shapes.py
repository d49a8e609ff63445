"""The wire shapes of imports."""

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from core.erp.kernel.errors import UnfitValue
from core.erp.kernel.hidden import hidden_in
from core.erp.kernel.shapes import Answer, Body, Figure, Sentence
from core.erp.kernel.strict import MAX_MAGNITUDE as MOST_MEASURED

Target = (
    Annotated[str, Field(min_length=1, max_length=200)] | Annotated[int, Field(strict=True, ge=1, le=2**63 - 1)] | None
)
MOST = 500_000


def _shown(text: str) -> str:
    if (hidden := hidden_in(text)) is not None:
        raise UnfitValue("value.hidden", hidden=hidden)
    return text


class ValueIn(BaseModel):
    """One value. null is a value the logger has not got; `quality` is good unless said."""

    model_config = ConfigDict(extra="forbid")  # no Body: half a million of them are checked field by field, not twice
    at: AwareDatetime
    value: Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-MOST_MEASURED, le=MOST_MEASURED)] | None
    quality: Annotated[str, Field(pattern="^(good|uncertain|bad)$")] = "good"
    reason: Annotated[str, Field(max_length=64), AfterValidator(_shown)] = ""


class SeriesIn(Body):
    """What the logger measured of one quantity. Units are UCUM: Cel, [degF], K, %."""

    quantity: Annotated[str, Field(min_length=1, max_length=64)] = "temperature"
    unit: Annotated[str, Field(min_length=1, max_length=32)] = "Cel"
    values: Annotated[list[ValueIn], Field(min_length=1, max_length=MOST)]
    simulated: bool = Field(False, description="no device measured them; a live instance refuses them")


class ImportTarget(Body):
    """What a logger was with: exactly one of shipment, lot, sublot, zone; an id, or a code.

    A shipment's logger counts from leaving to arrival. A lot's counts where nobody else measured, or wherever the lot
    was over `start` to `stop` if given. A zone's counts throughout. What lies outside is kept and does not count.
    """

    shipment: Target = None
    lot: Target = None
    sublot: Target = None
    zone: Target = None
    start: AwareDatetime | None = None
    stop: AwareDatetime | None = None
    dry_run: bool = Field(False, description="say what would come of it and keep nothing")


class ImportIn(ImportTarget):
    """A logger's readings, and what it was with."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "serial": "130500109088",
                    "shipment": "SH-1",
                    "series": [
                        {
                            "quantity": "temperature",
                            "unit": "Cel",
                            "values": [
                                {"at": "2026-03-02T08:00:00Z", "value": 5.1},
                                {"at": "2026-03-02T08:05:00Z", "value": 5.2},
                            ],
                        }
                    ],
                }
            ]
        }
    )
    serial: Annotated[str, Field(min_length=1, max_length=64, pattern=r"\S", examples=["130500109088"])]
    series: Annotated[list[SeriesIn], Field(min_length=1, max_length=20)]
    source: Annotated[str, Field(max_length=300)] = Field("", description="what it was read from, for the audit")


class SpanOut(BaseModel):
    """Logger and goods were together then; `stop` is null while they still are."""

    sublot_ids: list[int]
    start: AwareDatetime
    stop: AwareDatetime | None


class ExcursionOut(Answer):
    """An excursion of the goods, as it stands after the import; `changed` if the import opened, moved or changed it."""

    id: int
    changed: bool
    sublot_id: int
    limit_key: str
    started_at: AwareDatetime
    broke_at: AwareDatetime
    ended_at: AwareDatetime | None
    certainty: str
    state: str
    lowest: Figure | None
    highest: Figure | None


class HoldOut(Answer):
    """A hold that stands on the goods after the import; `changed` if the import placed it or made it surer."""

    id: int
    changed: bool
    sublot_id: int | None
    shipment_id: int | None = Field(description="a shipment that stops with goods on it")
    kind: str
    certainty: str | None
    reason: str
    reason_message: Sentence
    since_at: AwareDatetime


class ImportOut(BaseModel):
    """What came of it."""

    dry_run: bool
    bound_to: str
    zone: str
    points: list[str]
    together: list[SpanOut]
    landed: int
    duplicates: int
    conflicts: int
    counted: int
    before: int
    after: int
    between: int
    refused: dict[str, int] = Field(description="readings that could not land, by reason")
    refused_details: list[str]
    logger: str | None = Field(description="the required logger's state; null if the shipment does not require it")
    excursions: list[ExcursionOut] = Field(
        description="standing on the goods it was with, and whatever else this import opened or changed"
    )
    holds: list[HoldOut] = Field(description="standing on the goods it was with, and whatever else this import placed")


class FileIn(ImportTarget):
    """The fields that go with an uploaded file: what the logger was with, and how to read the file.

    `mapping` is JSON: {"values": [{"column", "point", "unit"}], "time": [...], ...}; without it a table's columns are
    taken by their headings.
    """

    all_texts: ClassVar[bool] = True

    serial: Annotated[str, Field(max_length=64)] = Field("", description="default: as in the file, else its name")
    kind: Literal["auto", "logger", "csv"] = "auto"
    timezone: Annotated[str, Field(max_length=64)] = Field(
        "",
        description="where the device's clock was set; UTC is assumed, a doubt, where nothing says it",
    )
    date_form: Annotated[str, Field(max_length=64)] = Field(
        "", description="the order of a table's dates where they do not tell: dmy, mdy or ymd; or a strptime format"
    )
    columns: Annotated[str, Field(max_length=1000)] = Field(
        "", description="of several columns of one quantity those that count, by heading, separated by semicolons"
    )
    clock_fast: Annotated[float, Field(allow_inf_nan=False)] = Field(
        0.0, description="minutes by which the device's clock was fast when it was read out (negative: slow)"
    )
    mapping: Annotated[str, Field(max_length=20_000)] = ""


class DoubtOut(Answer):
    """A line of the file that is not as it should be."""

    line: int
    kind: str
    message: str
    message_message: Sentence
    damage: bool


class EventOut(BaseModel):
    """Something the device noted beside its readings."""

    line: int
    at: AwareDatetime
    text: str


class FileOut(BaseModel):
    """What the file was found to be. `authenticity` is that of a logger's signature; null for a table."""

    name: str
    sha256: str
    kind: str
    device: str
    serial: str
    readings: int
    damaged: bool
    authenticity: str | None
    doubts: list[DoubtOut] = Field(description="the first of them; damaged lines first")
    doubts_in_all: int
    events: list[EventOut] = Field(description="what the device noted, such as a button; the first of them")


class FileImportOut(ImportOut):
    """What came of an uploaded file."""

    file: FileOut
