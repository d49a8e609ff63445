"""Sixteen people open CAPA at once, and a process is killed with a number in hand: the series has no hole."""

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from core.erp.catalog.service import create_site
from core.erp.kernel.unit import Unit, system, transact
from core.wiring import build_events
from tests.faults.capa_victim import NOW, open_one
from tests.services.numbering_test import Undone, waits_for

ROOT = Path(__file__).parents[2]
CREATORS, EACH = 16, 4
EVENTS = build_events()


def create(engine: Engine, site: int) -> str:
    return transact(engine, system("test"), EVENTS, lambda u: open_one(u, site), NOW)


def create_and_undo(engine: Engine, site: int) -> None:
    def work(u: Unit) -> None:
        open_one(u, site)
        raise Undone

    with pytest.raises(Undone):
        transact(engine, system("test"), EVENTS, work, NOW)


def test_a_killed_creator_leaves_no_hole(engine: Engine, postgres_url: str) -> None:
    site = transact(engine, system("test"), EVENTS, lambda u: create_site(u, "s1", "S1").id, NOW)
    args = [sys.executable, "-m", "tests.faults.capa_victim", postgres_url, str(site)]
    victim = subprocess.Popen(args, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert victim.stdout is not None
    try:
        assert victim.stdout.readline() == "CAPA-2026-0001\n"

        def creator(mine: int) -> list[str]:
            got = []
            for turn in range(EACH):
                if (mine + turn) % EACH == 0:
                    create_and_undo(engine, site)
                else:
                    got.append(create(engine, site))
            return got

        with ThreadPoolExecutor(CREATORS) as pool:
            running = [pool.submit(creator, mine) for mine in range(CREATORS)]
            waits_for(engine, CREATORS)
            victim.send_signal(signal.SIGKILL)
            numbers = [number for one in running for number in one.result(timeout=120)]
    finally:
        victim.kill()
        victim.stdout.close()
        assert victim.wait(20) == -signal.SIGKILL
    with engine.connect() as conn:
        stored = conn.execute(text("SELECT number FROM capa ORDER BY number")).scalars().all()
    expected = [f"CAPA-2026-{n:04}" for n in range(1, CREATORS * (EACH - 1) + 1)]
    assert sorted(numbers) == expected == stored
