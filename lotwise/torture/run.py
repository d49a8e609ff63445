"""`lotwise torture`: sets everything up, lets the plan happen, and says what came of it."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from lotwise.embedded.process import ServerFailed
from lotwise.torture import audit
from lotwise.torture.actors import KillableServer, WorkerThreads
from lotwise.torture.audit import Broken
from lotwise.torture.catalog import make_catalog
from lotwise.torture.devices import Devices
from lotwise.torture.plan import FaultEvent, Plan, plan
from lotwise.torture.series import CoreReadings, SeriesFindings
from lotwise.torture.stage import CLUSTER, SINGLE, ZONES, Size, Stage
from lotwise.torture.work import Catalog, PlacedGoods, Unanswered, work

SETTLING = 90.0
"""Seconds that everything has to arrive and be judged once nothing is broken any more."""
EVERY = {1: 3.0, 3: 4.0}
"""Seconds between two blows on average, by the number of stream nodes."""
Say = Callable[[str], None]


def run(*, minutes: float, seed: int, cluster: bool, rate: float, folder: Path | None) -> int:
    """Runs a soak and prints its JSON object as the last line. 0 if all promises held, else 1."""
    os.environ["LOTWISE_INSTANCE"] = "test"  # everything is its own; simulators refuse any other
    begun = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - begun:7.1f} s  {text}", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory(prefix="lotwise-torture-", ignore_cleanup_errors=True) as temporary:
        size = CLUSTER if cluster else SINGLE
        try:
            report = asyncio.run(_soak(folder or Path(temporary), size, minutes * 60, seed, rate, say))
        except* (ServerFailed, Unanswered, OSError) as group:
            report = {"ok": False, "error": "; ".join(str(error) for error in _each(group))}
    result = {"seed": seed, "minutes": minutes, "cluster": cluster, "seconds": round(time.monotonic() - begun, 1)}
    print(json.dumps({**report, **result}))
    return 0 if report["ok"] else 1


def _each(error: BaseException) -> list[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        return [each for part in error.exceptions for each in _each(part)]
    return [error]


async def _soak(folder: Path, size: Size, seconds: float, seed: int, rate: float, say: Say) -> dict[str, Any]:
    hands = WorkerThreads()
    async with AsyncExitStack() as stack:
        stack.callback(hands.close)
        stage = Stage(folder, size, hands)
        stack.push_async_callback(stage.close)
        say(f"starting {', '.join(stage.actors)} in {folder}")
        await stage.open()
        devices = Devices(ZONES, stage.mqtt, stage.device_ports, seed, rate)
        stack.push_async_callback(devices.stop)
        stage.connect(devices)
        made = plan(seed, seconds, list(ZONES), stage.targets, EVERY[size.replicas])
        await devices.open()
        catalog = await make_catalog(stage.caller, devices)
        await stage.open_gateways()
        looking = asyncio.create_task(stage.look_after())
        stack.push_async_callback(_ended, looking)
        say(f"{seconds:.0f} s with {len(made.fault_events)} blows and {len(made.goods)} sublots begin")
        placed, broken_at = await _run_events(stage, devices, made, catalog, say)
        report = await _report(stage, devices, made, placed, broken_at, say)
        (folder / "truth.json").write_text(json.dumps([book.written() for book in devices.books.values()]))
    return report


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


async def _run_events(
    stage: Stage, devices: Devices, made: Plan, catalog: Catalog, say: Say
) -> tuple[list[PlacedGoods], list[Broken]]:
    """The plan: devices speak, goods come and go, blows fall. Raises ServerFailed, Unanswered."""
    devices.begin(made)
    fell: list[Broken] = []
    async with asyncio.TaskGroup() as group:
        posting = group.create_task(work(stage.caller, catalog, made.goods, devices.began))
        for blow in made.fault_events:
            group.create_task(_inject(stage, blow, devices.began, fell, say))
        await asyncio.sleep(max(0.0, devices.began + made.seconds - time.time()))
        say("the plan is through: everything runs again, the devices go on")
    return posting.result(), fell


async def _inject(stage: Stage, blow: FaultEvent, began: float, fell: list[Broken], say: Say) -> None:
    await asyncio.sleep(max(0.0, began + blow.at - time.time()))
    actor = stage.actors[blow.target]
    say(f"{blow.way} {blow.target} for {blow.down:.1f} s")
    at = time.time_ns() // 1000
    await actor.inject(blow.way)
    fell.append(Broken(blow.target, blow.way, at))
    await asyncio.sleep(blow.down)
    await actor.start()


async def _report(
    stage: Stage, devices: Devices, made: Plan, placed: list[PlacedGoods], fell: list[Broken], say: Say
) -> dict[str, Any]:
    upto = int((devices.began + made.seconds) * 1_000_000)
    conninfo = stage.conninfo
    found, seen = await _settled(stage, devices, fell, upto, say)
    judged = await audit.judge_all(stage, devices, seen, placed, upto)
    unrecorded = audit.silences(devices, seen, upto)
    points = [
        (point, book.temperature) for book in devices.books.values() for point in (book.temperature, book.sequence)
    ]
    differs = await audit.api_differs(stage, seen, points, upto)
    unproved = await asyncio.to_thread(audit.unproved, stage, int(devices.began * 1_000_000), upto)
    trail = await stage.caller.get("/audit/verify")
    others, overdue = await asyncio.to_thread(audit.counts, conninfo, placed)
    faults = {
        "lost": found.lost,
        "duplicate": found.duplicate,
        "restamped": found.restamped,
        "invented": found.invented,
        "wrong_quality": found.wrong_quality,
        "wrong_value": found.wrong_value,
        "missed": judged.missed,
        "double": judged.double,
        "false_hold": judged.false_hold,
        "wrong_certainty": judged.wrong_certainty,
        "unrecorded_gaps": len(unrecorded),
        "api_differs": len(differs),
        "unproved": len(unproved),
        "audit_findings": len(trail["findings"]),
        **others,
    }
    polled = sum(each.target.startswith("edge") or each.target == "controller" for each in fell)
    faults["unkept_answers_beyond_one_a_blow"] = max(0, found.unkept_answers - polled)
    for note in (*found.notes, *judged.notes, *unrecorded, *differs, *unproved, *map(str, trail["findings"])):
        say(note)
    kills: dict[str, Counter[str]] = {}
    for each in fell:
        kills.setdefault(each.target, Counter())[each.way] += 1
    checked = {
        "values": found.checked,
        "in_gap": found.in_gap,
        "unkept_answers": found.unkept_answers,
        "sublots": judged.sublots,
        "excursions": dict(sorted(judged.expected.items())),
        "overdue_gateway_words": overdue,
        "superseded_by_late_moves": judged.superseded_by_late_moves,
        "posts": stage.caller.posts,
        "retried": stage.caller.retries,
    }
    ended = {
        name: actor.ended_by_itself
        for name, actor in stage.actors.items()
        if isinstance(actor, KillableServer) and actor.ended_by_itself
    }
    return {
        "ok": not any(faults.values()),
        **faults,
        "checked": checked,
        "blows": len(fell),
        "kills": {name: dict(sorted(counts.items())) for name, counts in sorted(kills.items())},
        "ended_by_itself": ended,
    }


async def _settled(
    stage: Stage, devices: Devices, fell: list[Broken], upto: int, say: Say
) -> tuple[SeriesFindings, dict[str, CoreReadings]]:
    """The books beside the series once all is there and judged, or after SETTLING."""
    conninfo = stage.conninfo
    deadline = time.monotonic() + SETTLING
    while True:
        late = time.monotonic() > deadline
        left = 0 if late else await devices.drained(1.0)
        try:
            seen = await asyncio.to_thread(audit.read, conninfo, devices.books.values(), fell)
        except psycopg.OperationalError as error:
            if late:
                raise ServerFailed(f"the database did not come back: {error}") from error
            continue
        found = audit.compare_all(devices, seen, upto)
        judged = await _judged_to(stage)
        if late or (not found.lost and judged >= upto):
            say(f"settled: {found.checked} values checked, {left} messages with the devices, {found.lost} lost")
            return found, seen
        await asyncio.sleep(1.0)


async def _judged_to(stage: Stage) -> int:
    """Up to where every zone with goods is judged, silences and all; microseconds."""
    zones = await stage.caller.get("/zone-status")
    marks = [zone["watermark"] for zone in zones if zone["address"] in ZONES]
    if len(marks) < len(ZONES) or any(mark is None for mark in marks):
        return 0
    return int(min(datetime.fromisoformat(mark) for mark in marks).astimezone(UTC).timestamp() * 1_000_000)
