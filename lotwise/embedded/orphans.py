"""Servers of a folder that outlived who started them: found by asking the processes, never by a file.

Only who owns the folder (FolderLock) may reap: whatever runs on it then is nobody's.
"""

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from lotwise.embedded.process import ServerFailed

REAP_TIMEOUT = 15.0
"""Seconds that an orphan has to end in order."""
WITHOUT_LEADER = 2.0
"""Seconds that children of a server have that is gone."""


def postgres_of(cluster: Path) -> Iterator[psutil.Process]:
    """Every process of the cluster: PostgreSQL's processes all work in its folder."""
    folder = str(cluster.resolve())
    return _those("postgres", lambda process: process.cwd() == folder)


def nats_of(config: Path) -> Iterator[psutil.Process]:
    """The nats-servers that were started on the configuration file."""
    file = str(config.resolve())
    return _those("nats-server", lambda process: file in process.cmdline())


def _those(name: str, mine: Callable[[psutil.Process], bool]) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        try:
            if process.name() == name and process.status() != psutil.STATUS_ZOMBIE and mine(process):
                yield process
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # gone meanwhile, or another user's: not ours


def reap(find: Callable[[], Iterator[psutil.Process]], stop_signal: signal.Signals) -> int:
    """Ends what is found: in order, or by force where that takes too long. Returns how many there were.

    Raises ServerFailed where one cannot be ended.
    """
    found = list(find())
    if not found:
        return 0
    leaders = [process for process in found if _leads(process)]
    _signal(leaders, stop_signal)
    # children without their leader notice it by themselves and end at once, if they can
    if not _gone(find, REAP_TIMEOUT if leaders else WITHOUT_LEADER):
        _signal(list(find()), signal.SIGKILL)
        if not _gone(find, REAP_TIMEOUT):
            raise ServerFailed(f"processes {[process.pid for process in find()]} of an earlier start cannot be ended")
    return len(found)


def _leads(process: psutil.Process) -> bool:
    """Whether it is the server itself, which still bears its command line, and not a child of it."""
    try:
        return bool({"-D", "-c"} & set(process.cmdline()))
    except psutil.NoSuchProcess:
        return False


def _gone(find: Callable[[], Iterator[psutil.Process]], within: float) -> bool:
    """Whether nothing is left; dead ones that nobody has buried do not count."""
    deadline = time.monotonic() + within
    while next(find(), None) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def _signal(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue
        except psutil.AccessDenied as error:
            raise ServerFailed(f"process {process.pid} of an earlier start is another user's") from error


def listener(port: int) -> str:
    """Who listens on a port of this machine, in words, as far as we may know."""
    try:
        for found in psutil.net_connections("tcp"):
            if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid:
                return f"process {found.pid} ({psutil.Process(found.pid).name()})"
    except (psutil.AccessDenied, psutil.NoSuchProcess):
        pass  # other users' connections are not told to everybody
    return "another process"
