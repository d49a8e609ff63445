"""`lotwise demo`: sets the stage, tells the story, and stays up."""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table

from lotwise.demo.api import Unexpected
from lotwise.demo.plant import RATE, RIG, configure, make_catalog, scenario
from lotwise.demo.stage import PASSWORD, PEOPLE, Stage, stage
from lotwise.demo.story import STEPS, Scene
from lotwise.embedded.folder_lock import FolderInUse, FolderLock
from lotwise.embedded.process import ServerFailed, accepts, free_port
from simulators.fleet import Fleet
from simulators.load import MqttLoad

MARK = "lotwise-demo"
"""The file that makes a folder a demo's own."""


class NotOurs(RuntimeError):
    """The folder holds something that no demo made."""


@contextlib.contextmanager
def demo_folder(chosen: Path | None) -> Iterator[Path]:
    """An empty folder for one demo: the chosen one, which stays, or one that is removed at the end.

    What an earlier demo left in it is removed first: the story begins with nothing. Raises NotOurs, FolderInUse.
    """
    if chosen is None:
        with tempfile.TemporaryDirectory(prefix="lotwise-demo-", ignore_cleanup_errors=True) as made:
            yield Path(made)
        return
    folder = chosen.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / MARK).exists() and any(folder.iterdir()):
        raise NotOurs(f"{folder} is not empty and no demo's: name another, for a demo begins with nothing")
    lock = FolderLock(folder / MARK)
    lock.acquire()
    try:
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != MARK:
                path.unlink()
        yield folder
    finally:
        lock.release()


def run(*, check: bool, data_dir: Path | None, port: int) -> int:
    """Tells the story; with `check` prints one JSON object last and returns 0 or 1, else stays up until Ctrl-C."""
    out = Console(stderr=check)
    if port and accepts(port):
        out.print(f"port {port} is taken; using a free one")
        port = 0
    # the simulators refuse any other kind of instance, and so does the core that the demo starts
    os.environ["LOTWISE_INSTANCE"] = "test"
    try:
        with demo_folder(data_dir) as folder:
            out.print(f"everything of it is kept in {folder}", highlight=False, soft_wrap=True)
            return asyncio.run(_main(folder, port, out, check=check))
    except KeyboardInterrupt:
        return 130
    except ServerFailed as error:
        out.print(f"[red]a server did not start[/red]\n{error}", highlight=False)
        return 1
    except (FolderInUse, NotOurs) as error:
        out.print(f"[red]cannot start:[/red] {error}", highlight=False)
        return 2


async def _main(folder: Path, port: int, out: Console, *, check: bool) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    telling = asyncio.create_task(_run_story(folder, port, out, stop, check=check))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    if not telling.done():
        telling.cancel()
    stopping.cancel()
    try:
        return await telling
    except asyncio.CancelledError:
        out.print("stopped; nothing of it is running any more")
        return 130 if check else 0


async def _run_story(folder: Path, port: int, out: Console, stop: asyncio.Event, *, check: bool) -> int:
    begun = time.monotonic()
    async with AsyncExitStack() as stack:
        out.print("starting PostgreSQL, the stream, the devices' broker, the core, the ingest …")
        on = await stack.enter_async_context(stage(folder, port))
        assert on.broker.mqtt_port is not None
        devices = scenario(on.broker.mqtt_port, free_port(), free_port())
        config = configure(on, devices)
        plant = await make_catalog(on, config)
        silent = devices.model_copy(update={"devices": [d for d in devices.devices if d.kind != "mqtt_load"]})
        fleet = await stack.enter_async_context(Fleet(silent))
        load = MqttLoad(RIG, broker=devices.broker, rate=RATE, prefix="rig")
        stack.push_async_callback(load.stop)
        began = datetime.now(UTC)
        await on.start_gateway()
        out.print(f"[bold]{on.url}[/bold] is up (log in as any role: {', '.join(PEOPLE)}; password {PASSWORD})")
        steps = await _steps(Scene(on, plant, fleet, load, began), out)
        ok = all(step["ok"] for step in steps) and len(steps) == len(STEPS)
        if check:
            print(json.dumps({"ok": ok, "seconds": round(time.monotonic() - begun, 1), "steps": steps}))
            return 0 if ok else 1
        _show_links(on, out)
        await stop.wait()
    return 0 if ok else 1


async def _steps(scene: Scene, out: Console) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    for name, step in STEPS:
        begun = time.monotonic()
        try:
            evidence: dict[str, Any] = await step(scene)
            ok = True
        except (Unexpected, httpx.HTTPError, ServerFailed) as error:
            evidence, ok = {"error": str(error)}, False
        seconds = round(time.monotonic() - begun, 2)
        done.append({"name": name, "ok": ok, "seconds": seconds, "evidence": evidence})
        out.print(f"{'[green]✓[/green]' if ok else '[red]✗[/red]'} {name} [dim]({seconds} s)[/dim]")
        for key, value in evidence.items():
            out.print(f"    {key}: {value}", style="dim", markup=False, highlight=False, soft_wrap=True)
        if not ok:
            break
    return done


def _show_links(on: Stage, out: Console) -> None:
    table = Table("role", "login", "password", title=f"{on.url}  (API: {on.url}/api/v1/openapi.json)")
    for login, (name, _) in PEOPLE.items():
        table.add_row(name, login, PASSWORD)
    out.print(table)
    out.print("The devices go on. Ctrl-C stops everything.")
