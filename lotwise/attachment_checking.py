"""`lotwise attachments`: is every file that hangs on a record there, and is it what was attached."""

from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from sqlalchemy import Engine, select, text

from core.erp.kernel.attachments.files import FILES, FileStore
from core.erp.kernel.attachments.model import AttachmentVersion
from core.erp.kernel.errors import FileDamaged
from core.erp.kernel.tables import table
from core.settings import Settings
from lotwise.runtime import error_sentence, servers

app = typer.Typer(add_completion=False)
out = Console()
SHOWN = 20


@dataclass(frozen=True, slots=True)
class Verdict:
    """How many files hang on records, how many bytes, and the hashes of those that are missing or damaged."""

    count: int
    size: int
    missing: tuple[str, ...]
    damaged: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.missing or self.damaged)

    def sentence(self) -> str:
        """The verdict in words."""
        lead = f"{self.count} files, {self.size / 2**20:.0f} MiB"
        wrong = [(self.missing, "missing"), (self.damaged, "damaged")]
        faults = ", ".join(f"{len(names)} {word} ({names[0][:12]}…)" for names, word in wrong if names)
        return f"{lead}: {faults or 'all there'}"


def examine(engine: Engine, store: FileStore, *, read: bool = False) -> Verdict:
    """Compares the files with what the records say: that they are there in their size; with `read` every byte."""
    v = table(AttachmentVersion)
    with engine.connect() as conn:
        if conn.scalar(text("SELECT to_regclass('attachment_version')")) is None:
            return Verdict(0, 0, (), ())
        known = {row.sha256: row.size for row in conn.execute(select(v.c.sha256, v.c.size).distinct())}
    there = store.names()
    missing = tuple(sorted(set(known) - set(there)))
    present = sorted(set(known) & set(there))
    damaged = [name for name in present if there[name].st_size != known[name] or (read and not _whole(store, name))]
    return Verdict(len(known), sum(known.values()), missing, tuple(damaged))


def _whole(store: FileStore, name: str) -> bool:
    try:
        with store.verified(name):
            return True
    except FileDamaged:
        return False


@app.command()
def verify(
    *, quick: Annotated[bool, typer.Option("--quick", help="Only that they are there, in their size.")] = False
) -> None:
    """Read every file on a record and compare it with its hash. Exits 1 where one is missing or damaged."""
    conf = Settings()
    with error_sentence(), servers(conf, stream=False, user="attachments") as found:
        engine = found.engine(1)
        verdict = examine(engine, FileStore(conf.data_dir / FILES), read=not quick)
        engine.dispose()
    out.print(verdict.sentence(), highlight=False)
    for word, names in (("missing", verdict.missing), ("damaged", verdict.damaged)):
        for name in names[:SHOWN]:
            out.print(f"{word}: {conf.data_dir / FILES / name}", highlight=False)
    raise typer.Exit(0 if verdict.whole else 1)
