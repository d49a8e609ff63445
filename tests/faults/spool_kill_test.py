"""Killed at any instant, the spool has every reading it said was safe, once, in batches without holes."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from core.telemetry.batch import Body, Header, PreviousEpoch, decode_body, digest
from edge.spool import Spool, SpoolInUse
from tests.services.edge_readings import numbers

ROOT = Path(__file__).parents[2]


def run_and_kill(folder: Path, start: int, after: float) -> list[int]:
    """Readings that the process said were safe before it was killed."""
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.spool_victim", str(folder), str(start)],
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    assert victim.stdout is not None
    with victim.stdout as output:
        lines = [output.readline()]  # it runs
        try:
            os.set_blocking(output.fileno(), True)
            victim.wait(after)
        except subprocess.TimeoutExpired:
            victim.send_signal(signal.SIGKILL)
        lines += output.readlines()
    assert victim.wait() == -signal.SIGKILL
    safe: list[int] = []
    for line in lines:
        words = line.split()
        if line.endswith(b"\n") and len(words) == 3:
            safe.extend(range(int(words[1]), int(words[2])))
    assert safe
    return safe


async def everything(folder: Path) -> list[tuple[Header, Body]]:
    async with await Spool.open(folder, "gw", "plant") as spool:
        found = await spool.unsent(1_000_000)
    assert all(digest(batch.body) == batch.header.sha256 for batch in found)
    return [(batch.header, decode_body(batch.body)) for batch in found]


def check_numbers(batches: list[tuple[Header, Body]]) -> None:
    by_name: dict[tuple[str, int], list[int]] = defaultdict(list)
    previous: dict[str, PreviousEpoch | None] = {}
    for header, body in batches:
        by_name[header.epoch, header.partition].append(header.number)
        if header.number == 1:
            assert previous.setdefault(header.epoch, body.previous) == body.previous
        else:
            assert body.previous is None
    for name, found in by_name.items():
        assert found == list(range(1, len(found) + 1)), name
    lasts: dict[str, dict[int, int]] = defaultdict(dict)
    for (epoch, partition), found in by_name.items():
        lasts[epoch][partition] = found[-1]
    heads = [epoch for epoch, before in previous.items() if before is None]
    assert len(heads) == 1, "exactly one epoch has none before it"
    for before in previous.values():
        if before is not None:
            assert before.last_numbers == lasts[before.epoch], "the last numbers an epoch is said to have are final"


def murder(folder: Path, rounds: int, seed: int) -> None:
    chance = random.Random(seed)
    safe: list[int] = []
    for i in range(rounds):
        safe += run_and_kill(folder, i * 10_000_000, chance.uniform(0.0, 0.4))
    batches = asyncio.run(everything(folder))
    check_numbers(batches)
    there = Counter(number for _, body in batches for number in numbers(body))
    assert not set(safe) - there.keys(), "said to be safe, and lost"
    assert max(there.values()) == 1, "kept once, there twice"


@pytest.mark.heavy
def test_every_reading_said_to_be_safe_is_there_once(tmp_path: Path) -> None:
    if os.environ.get("LOTWISE_TEST_HEAVY") == "1":
        murder(tmp_path / "gw", 150, seed=random.randrange(1 << 30))
    else:
        murder(tmp_path / "gw", 5, seed=1)


def test_a_spool_has_one_process_and_is_free_again_when_that_is_killed(tmp_path: Path) -> None:
    async def main() -> None:
        async with await Spool.open(tmp_path / "gw", "gw", "plant"):
            with pytest.raises(SpoolInUse):
                await Spool.open(tmp_path / "gw", "gw", "plant")

    asyncio.run(main())
    run_and_kill(tmp_path / "gw", 0, 0.05)
    asyncio.run(main())
