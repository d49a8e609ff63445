"""The command `lotwise restore`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from core.background import compare_with_witness
from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.restorations import unsigned
from core.erp.kernel.witness import WITNESS_FILE, Witness
from lotwise.attachment_checking import examine as compare
from lotwise.auditing import examine
from lotwise.backup.backing_up import BackupFailed
from lotwise.backup.cli import embedded
from lotwise.backup.restoring import newest, restore
from lotwise.runtime import error_sentence, servers

app = typer.Typer(add_completion=False)
out = Console()


def _instant(given: str) -> datetime:
    try:
        found = datetime.fromisoformat(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is no time: write 2026-03-02T08:00:00Z") from error
    if found.tzinfo is None:
        raise typer.BadParameter(f"{given!r} does not say its offset: write 2026-03-02T08:00:00Z")
    return found.astimezone(UTC)


@app.command()
def restore_command(
    folder: Annotated[Path, typer.Argument(help="A folder of backups (the newest is taken), or one backup in it.")],
    *,
    to: Annotated[
        str | None, typer.Option(help="The time to restore to, with its offset. Default: all there is.")
    ] = None,
) -> None:
    """Restore into the data folder (LOTWISE_DATA_DIR), which must hold no database; verify the audit trail at the end.

    A witness that is in the folder stays as it is. If it knows of more than what was restored, or there is none but the
    backup's own, goods stay where they are until QA has signed what is missing.
    """
    conf = embedded()
    until = _instant(to) if to is not None else None
    try:
        place = newest(folder.absolute(), until)
        restore(place, conf.data_dir.absolute(), until)
    except BackupFailed as error:
        out.print(f"[red]not restored[/red]: {error}", highlight=False)
        raise typer.Exit(1) from error
    with error_sentence(), servers(conf, stream=False, user="restore") as found:
        engine = found.engine(1)
        compare_with_witness(conf, engine)
        unknown = unsigned(engine)
        verdict = examine(engine, Witness(conf.data_dir / WITNESS_FILE))
        attachments = compare(engine, FileStore(conf.data_dir / FILES), read=True)
        engine.dispose()
    out.print(
        f"{place} restored{f' to {until}' if until else ''}; the audit trail: {verdict.sentence()}", highlight=False
    )
    out.print(f"attachments: {attachments.sentence()}", highlight=False)
    others = [finding for finding in verdict.findings if finding.kind != "restored"]
    for finding in verdict.findings:
        out.print(f"{finding.kind}: {finding.detail}", highlight=False)
    if unknown or (verdict.findings and not others):
        known = "what came after the backup, which no witness here tells" if unknown else "what is missing"
        out.print(f"Goods stay where they are until QA has signed {known}: GET /api/v1/restorations")
    out.print("No log is archived until the next `lotwise backup`.")
    raise typer.Exit(0 if attachments.whole and not others else 1)
