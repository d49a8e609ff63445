"""The command `lotwise backup`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import text

from core.erp.kernel.attachments.files import FILES
from core.erp.kernel.unit import system, transact
from core.log_archive import tell_backup
from core.settings import Settings
from core.wiring import build_events
from lotwise.backup.backing_up import BackupFailed, make_backup
from lotwise.embedded.postgres import EmbeddedPostgres
from lotwise.embedded.supervisor import POSTGRES, postgres_folder
from lotwise.runtime import Servers, error_sentence, servers

app = typer.Typer(add_completion=False)
out = Console()
EXTERNAL = (
    "LOTWISE_DATABASE_URL is set: back that PostgreSQL up with its own pg_basebackup and WAL archive, and the data"
    " folder beside it (docs/operate/backup.md)"
)


def embedded() -> Settings:
    """The settings of an installation on the embedded database; exits 2 for any other."""
    conf = Settings()
    if conf.database_url is not None:
        out.print(EXTERNAL)
        raise typer.Exit(2)
    return conf


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="On another disk: a folder for this installation's backups.")],
) -> None:
    """Make a whole backup, verified, while everything runs; from the first on the database's log is archived too.

    The data folder's keys, witness and attachments go with it. Exits 1 for a damaged attachment, which is named, and
    for a log that is not archived. Keep the folder as safe as the data: it holds the keys.
    """
    conf = embedded()
    with error_sentence(), servers(conf, stream=False, user="backup") as found:
        assert found.lease is not None
        server = EmbeddedPostgres(postgres_folder(conf.data_dir), port=found.lease.ports[POSTGRES])
        try:
            made = make_backup(server, conf.data_dir, folder)
        except (BackupFailed, OSError) as error:  # a folder that cannot be made or written, a disk that is full
            _tell(found, str(error))
            out.print(f"[red]no backup[/red]: {error}", highlight=False)
            raise typer.Exit(1) from error
        _tell(found, None)
    until = f", until {made.archived_at:%Y-%m-%d %H:%M:%S} UTC so far" if made.archived_at is not None else ""
    out.print(f"{made.place}: verified; the log goes on in {folder.absolute() / 'wal'}{until}", highlight=False)
    if made.trouble:
        out.print(f"[red]the log is not archived[/red]: {made.trouble}", highlight=False)
    for name in made.damaged:
        out.print(f"[red]not copied[/red]: {conf.data_dir / FILES / name} is damaged", highlight=False)
    raise typer.Exit(1 if made.damaged or made.trouble else 0)


def _tell(found: Servers, failure: str | None) -> None:
    """Lets the core know, which tells people; a database that was never set up has nobody to tell."""
    engine = found.engine(1)
    try:
        with engine.connect() as conn:
            if conn.scalar(text("SELECT to_regclass('outbox')")) is None:
                return
        transact(engine, system("backup"), build_events(), lambda u: tell_backup(u, failure))
    finally:
        engine.dispose()
