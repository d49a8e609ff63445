"""A simulated filling machine against an asyncua client."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import Client, ua

from simulators.faults import Fault, FaultKind
from simulators.machine import FillingMachine
from simulators.packml import State
from tests.contracts.sim_peers import until
from tests.servers import accepts, free_port


class Stage:
    """One machine for all tests, in a loop of its own: a server takes seconds to build."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self.port = free_port()
        self.machine = FillingMachine(
            "filler-1", "plant/fill/line-1", port=self.port, interval=0.05, speed_up=60, reject_rate=0.3
        )

    def run(self, act: Callable[[Client], Awaitable[None]]) -> None:
        """Acts with a client of the machine's."""

        async def main() -> None:
            async with Client(self.machine.endpoint) as client:
                await act(client)

        self._runner.run(main())

    async def ticks(self, count: int = 2) -> None:
        """Returns when the machine has taken so many more readings."""
        wanted = self.machine.report.readings + count
        await until(lambda: self.machine.report.readings >= wanted)

    async def read(self, client: Client, variable: str) -> ua.DataValue:
        """A variable as the client reads it now."""
        return await client.get_node(self.machine.node(variable)).read_data_value(raise_on_bad_status=False)

    async def seen(self, client: Client, variable: str, count: int = 5) -> list[ua.DataValue]:
        """A variable at so many readings, one after another."""
        found = []
        for _ in range(count):
            await self.ticks(1)
            found.append(await self.read(client, variable))
        return found


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with pytest.MonkeyPatch.context() as patch, asyncio.Runner() as runner:
        patch.setenv("LOTWISE_INSTANCE", "test")
        made = Stage(runner)
        runner.run(made.machine.start())
        yield made
        runner.run(made.machine.stop())
        assert not accepts(made.port)


def number(value: ua.DataValue) -> Any:
    return value.Value.Value


def test_a_machine_shows_states_counters_and_source_times_to_a_client(stage: Stage) -> None:
    device = stage.machine

    async def act(client: Client) -> None:
        begun = datetime.now(UTC)
        assert number(await stage.read(client, "StateText")) == "idle"
        good = number(await stage.read(client, "Good"))
        await client.get_node("ns=2;s=filler-1").call_method("2:Start")
        await until(lambda: device.good > good + 5 and device.reject > 0)
        await stage.ticks()
        value = await stage.read(client, "Good")
        assert number(value) > good + 5
        assert begun < value.SourceTimestamp <= datetime.now(UTC)
        assert number(await stage.read(client, "State")) == State.EXECUTE
        assert 15 < number(await stage.read(client, "ChamberTemperature")) < 21
        await client.get_node(device.node("Command")).write_value(8, ua.VariantType.Int32)
        await until(lambda: device.state is State.ABORTED)
        with pytest.raises(ua.UaStatusCodeError, match="BadInvalidState"):
            await client.get_node("ns=2;s=filler-1").call_method("2:Start")
        await client.get_node(device.node("Command")).write_value(2, ua.VariantType.Int32)
        await stage.ticks()
        assert await client.get_node(device.node("Command")).read_value() == -2
        assert device.state is State.ABORTED

    stage.run(act)


def test_a_machine_gives_bad_and_uncertain_status_on_command(stage: Stage) -> None:
    device = stage.machine

    async def act(client: Client) -> None:
        for status in ("BadSensorFailure", "UncertainLastUsableValue", None):
            device.set_status("ChamberTemperature", status)
            await stage.ticks()
            assert (await stage.read(client, "ChamberTemperature")).StatusCode.name == (status or "Good")
        with pytest.raises(ValueError, match="no variable"):
            device.set_status("Nonsense", "BadSensorFailure")
        with pytest.raises(ValueError, match="status"):
            device.set_status("Good", "BadNonsense")

    stage.run(act)


def test_a_machine_remembers_while_its_server_is_down_and_lets_a_client_backfill(stage: Stage) -> None:
    device = stage.machine
    times: list[datetime] = []
    told: list[int] = []

    async def before(client: Client) -> None:
        told.append(number(await stage.read(client, "Sequence")))

    async def down(client: Client) -> None:
        times.append(datetime.now(UTC))
        await device.fault(Fault(FaultKind.DISCONNECT))
        assert not accepts(stage.port)
        with pytest.raises((ConnectionError, ua.UaError, TimeoutError)):
            await asyncio.wait_for(stage.read(client, "Sequence"), 1)
        await stage.ticks(8)
        await device.clear(FaultKind.DISCONNECT)

    async def after(client: Client) -> None:
        [last], [lost_at] = told, times
        node = client.get_node(device.node("Sequence"))
        numbers = [number(value) for value in await node.read_raw_history(lost_at, datetime.now(UTC))]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert last < numbers[0] <= last + 3
        assert len(numbers) >= 6
        everything = await node.read_raw_history(lost_at - timedelta(minutes=1), datetime.now(UTC))
        assert [number(value) for value in everything][:3] == [1, 2, 3]
        assert len(await node.read_raw_history(lost_at, datetime.now(UTC), numvalues=2)) == 2

    stage.run(before)
    stage.run(down)
    stage.run(after)


@pytest.mark.parametrize(
    ("kind", "low", "high"), [(FaultKind.FREEZE, 15, 21), (FaultKind.SPIKE, 115, 121), (FaultKind.WRONG_UNIT, 59, 70)]
)
def test_faults_of_a_machines_value_reach_the_client(stage: Stage, kind: FaultKind, low: float, high: float) -> None:
    async def act(client: Client) -> None:
        await stage.machine.fault(Fault(kind, amount=100.0))
        await stage.ticks()
        seen = await stage.seen(client, "ChamberTemperature")
        await stage.machine.clear(kind)
        values = [number(value) for value in seen]
        assert len({value.SourceTimestamp for value in seen}) > 1
        assert all(low < value < high for value in values)
        assert (len(set(values)) == 1) == (kind is FaultKind.FREEZE)

    stage.run(act)


def test_a_clock_step_moves_the_source_time(stage: Stage) -> None:
    async def act(client: Client) -> None:
        await stage.machine.fault(Fault(FaultKind.CLOCK_STEP, step=timedelta(minutes=10)))
        await stage.ticks()
        ahead = (await stage.read(client, "Good")).SourceTimestamp - datetime.now(UTC)
        await stage.machine.clear(FaultKind.CLOCK_STEP)
        assert timedelta(minutes=9) < ahead <= timedelta(minutes=10)

    stage.run(act)


def test_garbage_is_no_number_or_a_bad_status_and_of_the_chamber_only(stage: Stage) -> None:
    async def act(client: Client) -> None:
        await stage.machine.fault(Fault(FaultKind.GARBAGE))
        await stage.ticks()
        seen = await stage.seen(client, "ChamberTemperature", 8)
        assert (await stage.read(client, "Good")).StatusCode.is_good()
        await stage.machine.clear(FaultKind.GARBAGE)
        ways = {
            "nan" if value.StatusCode.is_good() and math.isnan(number(value)) else value.StatusCode.name
            for value in seen
        }
        assert ways == {"nan", "BadSensorFailure"}

    stage.run(act)


def test_readings_out_of_order_all_come(stage: Stage) -> None:
    heard: list[int] = []

    class Handler:
        def datachange_notification(self, _node: object, value: int, _data: object) -> None:
            heard.append(value)

    async def act(client: Client) -> None:
        subscription = await client.create_subscription(50, Handler())
        node = client.get_node(stage.machine.node("Sequence"))
        await subscription.subscribe_data_change(node, queuesize=100, sampling_interval=0)
        await until(lambda: len(heard) >= 2)
        await stage.machine.fault(Fault(FaultKind.OUT_OF_ORDER))
        first = stage.machine.report.readings
        await stage.ticks(6)
        await stage.machine.clear(FaultKind.OUT_OF_ORDER)
        last = stage.machine.report.readings
        await until(lambda: last + 1 in heard)
        await subscription.delete()
        during = [value for value in heard if first < value <= last]
        assert sorted(during) == list(range(first + 1, last + 1))
        assert during[:4] == [first + 2, first + 1, first + 4, first + 3]

    stage.run(act)


def test_a_drop_out_and_silence_leave_the_server_with_its_last_value(stage: Stage) -> None:
    device = stage.machine

    async def act(client: Client) -> None:
        await device.fault(Fault(FaultKind.DROP_OUT))
        still = number(await stage.read(client, "Sequence"))
        await stage.ticks(4)
        assert number(await stage.read(client, "Sequence")) == still
        await device.clear(FaultKind.DROP_OUT)
        assert len(device.report.lost) >= 4
        device.silence()
        quiet = number(await stage.read(client, "Sequence"))
        await asyncio.sleep(0.15)
        assert number(await stage.read(client, "Sequence")) == quiet
        device.resume()
        await stage.ticks()
        assert number(await stage.read(client, "Sequence")) > quiet

    stage.run(act)
