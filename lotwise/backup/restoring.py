"""`lotwise restore`: a backup in a data folder without a database, brought forward by the archived log."""

import os
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from core.erp.kernel.attachments.files import FILES
from core.erp.kernel.restorations import RESTORED_MARK, WITNESS_STAYED
from core.erp.kernel.witness import WITNESS_FILE
from lotwise.backup.attached_files import copy_files
from lotwise.backup.backing_up import BASE, DATA, SHUT, WAL, BackupFailed, check, run
from lotwise.embedded.postgres import BIN, EmbeddedPostgres
from lotwise.embedded.process import ServerFailed, traversable, unprivileged


def newest(folder: Path, to: datetime | None = None) -> Path:
    """The newest whole backup in the folder that was begun before `to`, or the folder itself if it is one.

    Raises BackupFailed: there is none.
    """
    if (folder / BASE).is_dir():
        return folder
    found = sorted(path for path in folder.glob("*Z") if (path / BASE).is_dir()) if folder.is_dir() else []
    if not found:
        raise BackupFailed(f"{folder} holds no backup: `lotwise backup FOLDER` makes one")
    if to is None:
        return found[-1]
    before = [path for path in found if path.name <= f"{to.astimezone(UTC):%Y%m%dT%H%M%SZ}"]
    if not before:
        raise BackupFailed(f"the oldest backup in {folder} is {found[0].name}, later than {to}")
    return before[-1]


def restore(backup: Path, data_dir: Path, to: datetime | None = None, *, port: int | None = None) -> None:
    """Puts the backup into the data folder and plays the log to `to` (all there is). The server is down afterwards.

    The folder must hold no database; all else that is there stays: a witness, which tells what the backup lacks, keys,
    a gateway's spool. Raises BackupFailed: the folder has a database, another major version of PostgreSQL, a damaged
    backup, log that is missing.
    """
    cluster = data_dir / "postgres" / "cluster"
    if cluster.exists():
        raise BackupFailed(f"{cluster} is there: move the old `postgres` folder away first, nothing is overwritten")
    _same_major(backup)
    check(backup / BASE)
    data_dir.mkdir(parents=True, exist_ok=True)
    # a witness out of the backup knows nothing that the backup does not: goods wait for QA then (restorations)
    mark, stayed = data_dir / RESTORED_MARK, (data_dir / WITNESS_FILE).exists()
    if not mark.exists():  # of a restore that was broken off, which has brought the backup's witness already
        mark.write_text(WITNESS_STAYED if stayed else "the witness is the backup's\n")
    _put_data(backup / DATA, data_dir)
    copy_files(backup.parent / FILES, data_dir / FILES)
    fresh = cluster.with_name("cluster.restored")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(backup / BASE, fresh)
    fresh.chmod(SHUT)
    (fresh / "recovery.signal").touch()
    _own(data_dir / "postgres", fresh, backup.parent / WAL)
    fresh.rename(cluster)
    _play(data_dir / "postgres", backup.parent / WAL, to, port)


def _same_major(backup: Path) -> None:
    theirs = (backup / BASE / "PG_VERSION").read_text().strip()
    ours = run([str(BIN / "postgres"), "--version"]).split()[-1].partition(".")[0]
    if theirs != ours:
        raise BackupFailed(
            f"the backup is of PostgreSQL {theirs}, and this is {ours}: restore it with the version of"
            " Lotwise that made it, then upgrade"
        )


def _put_data(source: Path, data_dir: Path) -> None:
    for path in source.iterdir():
        if path.is_dir():
            shutil.copytree(path, data_dir / path.name, dirs_exist_ok=True, copy_function=_unless_there)
        else:
            _unless_there(str(path), str(data_dir / path.name))


def _unless_there(source: str, target: str) -> None:
    """What is there knows more than the backup: it is never rewound."""
    if not os.path.lexists(target):
        shutil.copy2(source, target)


def _own(folder: Path, cluster: Path, wal: Path) -> None:
    """Under root PostgreSQL runs as nobody, who must read the log and own the cluster."""
    user = unprivileged()
    if user is None:
        return
    for path in (cluster, *cluster.rglob("*"), *folder.glob("superuser.password")):
        os.chown(path, user, user)
    traversable(folder)
    if wal.exists():
        traversable(wal)


_FAULT = re.compile(r"(?:FATAL|PANIC): +(.+)")
_NOT_YET = ("the database system is starting up", "the database system is shutting down")
"""Said to who asks whether it is ready: no reason."""


def _why(error: ServerFailed, wal: Path, to: datetime | None, log: Path) -> str:
    """Why the server that plays the log did not come up, in a sentence; where its own words are."""
    said = [found.group(1) for line in str(error).splitlines() if (found := _FAULT.search(line))]
    reasons = [one for one in said if one not in _NOT_YET]
    if not reasons:
        return str(error)  # it never came to the log: a port, a folder
    if to is not None and any("before configured recovery target" in line for line in reasons):
        return f"the log in {wal} does not reach as far as {to}; PostgreSQL's own words are in {log}"
    return f"the log in {wal} is damaged, or a piece is missing ({reasons[0]}); PostgreSQL's own words are in {log}"


def _play(folder: Path, wal: Path, to: datetime | None, port: int | None) -> None:
    settings = {
        "restore_command": f"cp '{wal}/%f' \"%p\"",
        "recovery_target_action": "promote",
        "hot_standby": "off",
        # its own log is not the old server's, which may still run (a trial): never into that archive, and never along
        # a log that another restore left there
        "archive_command": "/bin/true",
        "recovery_target_timeline": "current",
    } | ({"recovery_target_time": to.isoformat()} if to is not None else {})
    server = EmbeddedPostgres(folder, port=port, settings=settings, start_timeout=3600)
    try:
        server.start()
    except ServerFailed as error:
        shutil.rmtree(folder / "cluster", ignore_errors=True)
        raise BackupFailed(_why(error, wal, to, server.log)) from error
    # what the old server archived to is not this one's to write to: its own first backup says where
    with psycopg.connect(server.conninfo(), autocommit=True) as conn:
        conn.execute("ALTER SYSTEM SET archive_command = '/bin/true'")
    server.stop()
    (folder / "cluster" / "recovery.signal").unlink(missing_ok=True)
