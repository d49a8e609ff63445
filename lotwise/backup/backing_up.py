"""`lotwise backup`: PostgreSQL's own base backup, verified, beside an archive of its log that grows from then on.

DIR/wal/                 the log, segment by segment, archived by the server itself
DIR/files/               attachments, each once for all backups: a file of that hash never changes
DIR/<time>/base/         the cluster, as pg_basebackup wrote it, checked against its manifest
DIR/<time>/data/         what the data folder keeps outside PostgreSQL: keys, passwords, witness, journal

A gateway's spool is in none: it is never rewound, and sends again what a restored core lacks.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import create_engine

from core.erp.kernel.attachments.files import FILES
from core.erp.kernel.restorations import RESTORED_MARK
from core.erp.kernel.words import render
from core.log_archive import LogArchive, log_archive
from edge.spool import FILE as SPOOL_FILE
from lotwise.backup.attached_files import copy_files
from lotwise.backup.manifest import faults
from lotwise.embedded.postgres import BIN, EmbeddedPostgres
from lotwise.embedded.process import traversable, unprivileged

WAL, BASE, DATA = "wal", "base", "data"
ONLY_NOW = (
    FILES,
    RESTORED_MARK,
    "postgres",
    "stream",
    "ports.json",
    "supervisor.sock",
    "supervisor.lock",
    "supervisor.log",
)
"""Of the data folder: servers' own files, which base and log are made of, or which are made anew; attachments."""
SHUT = 0o700
ARCHIVES_WITHIN = 15.0
"""Seconds that the server has to archive what the backup itself wrote; it tries three times, a second apart."""


class BackupFailed(RuntimeError):
    """A backup could not be made, or not be restored; the text says why and what to do."""


def run(command: Sequence[str], password: str | None = None) -> str:
    """Runs one of PostgreSQL's programs. Raises BackupFailed with what it said."""
    env = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", **({"PGPASSWORD": password} if password else {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode != 0:
        raise BackupFailed(f"{Path(command[0]).name}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def check(base: Path) -> None:
    """Raises BackupFailed for a base backup that is not as it was written."""
    wrong = faults(base)
    if wrong:
        raise BackupFailed(f"{base}: {'; '.join(wrong[:5])} ({len(wrong)} faults in all)")


def archive_to(server: EmbeddedPostgres, folder: Path) -> None:
    """From now on the server copies each finished segment of its log there, and one a minute at least.

    A segment is never overwritten; it appears under its name once it is whole and on disk. Raises BackupFailed where
    the server cannot write there.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=SHUT)
    user = unprivileged()
    if user is not None:
        os.chown(folder, user, user)
        traversable(folder.parent)
    if "'" in str(folder) or "%" in str(folder):
        raise BackupFailed(f"{folder}: a folder for backups has no quotes and no % in its name")
    at = f"'{folder}/%f"
    # one that is there is whole: the server copied it, and died before it noted that down
    copy = f"cp \"%p\" {at}.part' && sync {at}.part' && mv {at}.part' {at}' && sync '{folder}'"
    command = f"if test -f {at}'; then cmp -s \"%p\" {at}'; else {copy}; fi"
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        for name, value in (("archive_command", command), ("archive_timeout", "60s")):
            conn.execute(sql.SQL("ALTER SYSTEM SET {} = {}").format(sql.Identifier(name), sql.Literal(value)))
        conn.execute("SELECT pg_reload_conf()")


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup: its place, the attachments that were damaged already and so are not in it, and until when the log
    is archived, or why it is not.
    """

    place: Path
    damaged: tuple[str, ...]
    archived_at: datetime | None
    trouble: str


def make_backup(server: EmbeddedPostgres, data_dir: Path, folder: Path, now: datetime | None = None) -> Backup:
    """Makes a whole backup in the folder. Raises BackupFailed; what is half made is taken away."""
    folder = folder.absolute()
    archive_to(server, folder / WAL)
    place = folder / f"{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    fresh = place.with_name(place.name + ".part")
    fresh.mkdir(mode=SHUT)
    try:
        run(
            [
                str(BIN / "pg_basebackup"),
                "-D",
                str(fresh / BASE),
                "-d",
                server.conninfo(),
                "-X",
                "stream",
                "--checkpoint=fast",
                "--manifest-checksums=SHA256",
                "--no-password",
            ]
        )
        check(fresh / BASE)
        # after the base: a witness, or an attachment, is never behind the database that it is restored with
        _keep_data(data_dir, fresh / DATA)
        copied = copy_files(data_dir / FILES, folder / FILES)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    fresh.rename(place)
    archive = _archived(server)
    trouble = render(archive.trouble) if archive.trouble is not None else ""
    return Backup(place, copied.damaged, archive.archived_at, trouble)


def _archived(server: EmbeddedPostgres) -> LogArchive:
    """How far the log is archived, once the server has tried to with what there is."""
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute("SELECT pg_switch_wal()")
    engine = create_engine(server.url())
    try:
        deadline = time.monotonic() + ARCHIVES_WITHIN
        while True:
            with engine.connect() as conn:
                found = log_archive(conn)
            if found.trouble is not None or (found.archived_at and not found.behind) or time.monotonic() > deadline:
                return found
            time.sleep(0.2)
    finally:
        engine.dispose()


def _spool(folder: str, names: list[str]) -> list[str]:  # noqa: ARG001 - what `copytree` calls
    """Of a folder's names those that are left out: all of a gateway's."""
    return names if SPOOL_FILE in names else []


def _keep_data(data_dir: Path, target: Path) -> None:
    target.mkdir(mode=SHUT)
    for path in sorted(data_dir.iterdir()):
        if path.name in ONLY_NOW or path.is_socket():
            continue
        if path.is_dir():
            shutil.copytree(path, target / path.name, ignore=_spool)
        else:
            shutil.copy2(path, target / path.name)
    passwords = target / "postgres"
    passwords.mkdir(mode=SHUT)
    for path in (data_dir / "postgres").glob("*.password"):
        shutil.copy2(path, passwords / path.name)
