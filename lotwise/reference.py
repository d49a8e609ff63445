"""docs/reference and docs/events.md, written from the code that decides: `python -m lotwise.reference [--check]`."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import typer
from prometheus_client import generate_latest
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings
from sqlalchemy import create_engine

from core import metrics as core_metrics
from core.app import create_app
from core.erp.kernel import permits
from core.erp.kernel.permits import Permit, Role
from core.erp.kernel.words import ENGLISH, Message, render
from core.ingest import metrics as ingest_metrics
from core.outbound.settings import OutboundSettings
from core.settings import SHORTEST_SECRET, Settings
from edge.health import ClockHealth, Health, SourceHealth, SpoolHealth, StreamHealth, metrics
from lotwise import reference_events
from lotwise.cli import app

FOLDER = Path(__file__).parents[1] / "docs"
WRITTEN = "Written by `python -m lotwise.reference` from the code itself; `make check` fails where they differ."
METHODS = ("get", "post", "put", "patch", "delete")


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table in Markdown; bars and line breaks in cells are kept from breaking it."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


# --- settings


def settings_page() -> str:
    """Every variable of the environment."""
    fields = {**OutboundSettings.model_fields, **Settings.model_fields}
    rows = [
        (f"`LOTWISE_{name.upper()}`", _default(fields[name].default), fields[name].description or "")
        for name in _in_order(Settings, OutboundSettings)
    ]
    lead = (
        "Everything comes from the environment; `lotwise doctor` says what is wrong, misspelt names included. An unset "
        "URL means the embedded server. A gateway has a file of its own besides: every option is explained in "
        "[`edge/examples`](../../edge/examples)."
    )
    return f"# Settings\n\n{WRITTEN}\n\n{lead}\n\n{table(('variable', 'default', 'meaning'), rows)}\n"


def _in_order(*models: type[BaseSettings]) -> list[str]:
    return list(dict.fromkeys(name for model in models for name in model.model_fields))


def _default(value: object) -> str:
    return "" if value is None or value is PydanticUndefined else f"`{value}`"


# --- commands


def commands_page() -> str:
    """Every command with its options, as `--help` tells them."""
    root = typer.main.get_command(app)
    parts = [f"# Commands\n\n{WRITTEN}\n"]
    for name, command in _commands(root, "lotwise"):
        if not hasattr(command, "list_commands"):
            parts.append(_command(name, command))
    return "\n".join(parts)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    # typer carries a click of its own, whose types it does not publish
    yield name, command
    if hasattr(command, "list_commands"):
        context = typer.Context(command, info_name=name)
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _commands(found, f"{name} {child}")


def _command(name: str, command: Any) -> str:
    context = typer.Context(command, info_name=name)
    usage = " ".join([name, *command.collect_usage_pieces(context)])
    rows = [
        (f"`{record[0]}`", record[1])
        for parameter in command.params
        if "--help" not in parameter.opts and (record := _help_record(parameter, context)) is not None
    ]
    help_text = (command.help or "").replace("\\[", "[").strip()
    options = f"\n\n{table(('option', 'meaning'), rows)}" if rows else ""
    return f"## {name}\n\n`{usage}`\n\n{help_text}{options}\n"


def _help_record(parameter: Any, context: Any) -> tuple[str, str] | None:
    record = parameter.get_help_record(context)
    return None if record is None else (record[0], record[1].replace("\\[", "["))


# --- metrics


def metrics_page() -> str:
    """Every figure that /metrics of a gateway, the core and an ingest worker tell."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    marks = {"asides_by_topic": {"topic": 1}, "last_reading": now, "watermark": now}
    source = _blank(SourceHealth, name="mqtt", counts={"event": 1}, **marks)
    spool, stream = _blank(SpoolHealth, asides={"reason": 1}), _blank(StreamHealth, trouble={})
    clock = _blank(ClockHealth, offset_seconds=0.0)
    blank = _blank(Health, sources=(source,), spool=spool, stream=stream, clock=clock)
    parts = (
        (
            "Gateway",
            "A gateway answers `/metrics` in Prometheus' text form at the address of its `health` section.",
            _families(metrics(blank).decode()),
        ),
        (
            "Core",
            "With `LOTWISE_METRICS_PORT` the core answers `/metrics` there, of several workers with their sum.",
            [*_families(generate_latest(core_metrics.OUT_OF).decode()), *_from_database()],
        ),
        (
            "Ingest",
            "With `LOTWISE_INGEST_METRICS_PORT` an ingest worker answers `/metrics` on that port.",
            _families(generate_latest(ingest_metrics.OUT_OF).decode()),
        ),
    )
    told = "\n".join(
        f"## {name}\n\n{lead}\n\n{table(('metric', 'type', 'labels', 'meaning'), rows)}\n" for name, lead, rows in parts
    )
    return f"# Metrics\n\n{WRITTEN}\n\n{told}"


def _families(said: str) -> list[tuple[str, str, str, str]]:
    """Of each metric in the text: name, type, labels and meaning."""
    return [
        (
            f"`{family.name}`",
            family.type,
            ", ".join(
                sorted({*_LABELS.get(family.name, ()), *(label for s in family.samples for label in s.labels)} - {"le"})
            ),
            family.documentation,
        )
        for family in text_string_to_metric_families(said)
        if not family.name.endswith("_created")
    ]


def _labels(family: Metric) -> set[str]:
    found = {label for sample in family.samples for label in sample.labels}
    return {*_LABELS.get(family.name, ()), *found} - {"le"}


_LABELS = {
    "lotwise_core_requests": ("kind", "status"),
    "lotwise_core_request_seconds": ("kind",),
    "lotwise_ingest_readings": ("outcome",),
}
"""Labels of metrics that tell nothing before something has happened."""


def _from_database() -> list[tuple[str, str, str, str]]:
    up = ("`lotwise_core_up`", "gauge", "", "1 while the database answers.")
    return [up, *((f"`{name}`", "gauge", "", meaning) for name, meaning in core_metrics.FIGURES.values())]


def _blank(kind: type[Any], **given: object) -> Any:
    return kind(**{name: given.get(name, 0) for name in kind.__struct_fields__})


# --- API


@cache
def api_description() -> dict[str, Any]:
    """The API's OpenAPI document, as every running core gives it. Making it takes seconds."""
    settings = Settings(instance="test", secret_key=SecretStr("-" * SHORTEST_SECRET))
    nowhere = create_engine("postgresql+psycopg://")  # never connected to: only the routes are asked for
    return create_app(settings, nowhere, run_background=False).openapi()


def api_page() -> str:
    """Every route, by what it is about."""
    by_tag: dict[str, list[tuple[str, ...]]] = {}
    for path, operations in sorted(api_description()["paths"].items()):
        for method in METHODS:
            if method in operations:
                row = (f"`{method.upper()} {path}`", _first(operations[method]))
                by_tag.setdefault((operations[method].get("tags") or ["other"])[0], []).append(row)
    lead = (
        "The routes of the public API; bodies, answers and examples are in the OpenAPI document of a running core, "
        "`/api/v1/openapi.json`, which any OpenAPI viewer reads. Sign in with `POST /api/v1/token`; "
        "a mistake is answered with a problem document (RFC 9457); a request with an `Idempotency-Key` posts once."
    )
    tables = [f"## {tag}\n\n{table(('route', 'what it does'), rows)}\n" for tag, rows in sorted(by_tag.items())]
    return "\n".join([f"# API\n\n{WRITTEN}\n\n{lead}\n", *tables])


def _first(operation: Mapping[str, Any]) -> str:
    return str(operation.get("description") or operation.get("summary") or "").split("\n\n")[0]


# --- permits


def permits_page() -> str:
    """Every permit, what people call it, and the default roles that hold it."""
    rows = [
        (f"`{name}`", render(Message(f"permit.{name}"), ENGLISH), _marks(one), ", ".join(sorted(one.roles)) or "nobody")
        for name, one in sorted(permits.declared().items())
    ]
    held = [(f"`{role}`", ", ".join(sorted(permits.permits_of((role,)))) or "nothing") for role in Role]
    lead = (
        "A permit belongs to the module that asks for it. What it means and how a site composes roles of its own: "
        "[roles and permits](../operate/access.md)."
    )
    by_permit = table(("permit", "lets somebody", "", "default roles"), rows)
    by_role = table(("role", "permits"), held)
    return f"# Permits\n\n{WRITTEN}\n\n{lead}\n\n## By permit\n\n{by_permit}\n\n## By role\n\n{by_role}\n"


def _marks(one: Permit) -> str:
    marks = (("signs", one.signing), ("also outside", one.outside), ("all sites", one.all_sites))
    return ", ".join(word for word, on in marks if on)


def events_page() -> str:
    """Every event and topic with its handlers."""
    return reference_events.page(WRITTEN, table)


PAGES = {
    "reference/settings.md": settings_page,
    "reference/commands.md": commands_page,
    "reference/metrics.md": metrics_page,
    "reference/api.md": api_page,
    "reference/permits.md": permits_page,
    "events.md": events_page,
}


def main(arguments: list[str]) -> int:
    """Writes the pages, or with --check says whether the committed ones are true."""
    wrong = []
    for name, page in PAGES.items():
        file, wanted = FOLDER / name, page()
        file.parent.mkdir(parents=True, exist_ok=True)
        if "--check" not in arguments:
            file.write_text(wanted, encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != wanted:
            wrong.append(name)
    print(f"reference: {', '.join(wrong)} out of date: python -m lotwise.reference" if wrong else "reference is true")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
