"""How a figure is said: one JSON object a line, with the machine it was measured on."""

import json
import os
import platform
from collections.abc import Iterable
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def machine() -> str:
    """Cores, memory and processor of this machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{cores} cores, {memory:.0f} GiB, {model}, Python {platform.python_version()}, {platform.system()}"


def figure(bench: str, metric: str, value: float, unit: str, n: int, method: str, **of: str | int) -> None:
    """Prints one figure; `of` says which of several it is (`operation="pick"`)."""
    line = {
        "bench": bench,
        **of,
        "metric": metric,
        "value": round(value, 3),
        "unit": unit,
        "n": n,
        "method": method,
        "machine": machine(),
    }
    print(json.dumps(line), flush=True)


def resident() -> float:
    """Resident memory of this process in MiB."""
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def busy_of(pids: Iterable[int]) -> float:
    """Processor seconds of processes so far: their threads', their children's and those of children that have ended."""
    return sum(_ticks(pid, 11, 4) + sum(_ticks(child, 11, 2) for child in _children(pid)) for pid in pids) / _TICKS


def _ticks(pid: int, first: int, count: int) -> int:
    """User and system time, and the ended children's after it (proc(5): fields 14 to 17, behind the name)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:  # ended since it was listed
        return 0
    return sum(map(int, fields[first : first + count]))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
