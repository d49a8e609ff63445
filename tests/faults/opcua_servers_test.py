"""What OPC UA servers of other makers do: stamps that are none, namespaces that come late, deep address spaces."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import Client, ua
from asyncua.ua.ua_binary import struct_to_binary, uatcp_to_binary

from core.telemetry.quality import Quality
from edge.browse.opcua import browse
from edge.collectors import opcua_session
from edge.collectors.opcua import OpcUaCollector
from edge.collectors.opcua_config import OpcUaServer
from edge.collectors.opcua_security import StrictClient
from edge.collectors.opcua_values import moment, reported_value
from edge.collectors.port import SourceLost, SourceMisconfigured
from tests.faults.opcua_peer import NAMESPACE, ZONE, Memory, machine, running, source, until
from tests.servers import free_port

ENDLESS = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_the_last_instant_of_the_calendar_is_no_time() -> None:
    assert moment(ENDLESS) is None
    assert moment(ENDLESS.replace(tzinfo=None)) is None
    assert reported_value(ua.DataValue(ua.Variant(1.0), ServerTimestamp=ENDLESS), None).stamp is None


def test_a_matrix_is_called_what_it_is() -> None:
    said = reported_value(ua.DataValue(ua.Variant([[1, 2], [3, 4]], ua.VariantType.Int32)), 1)
    assert (said.quality, said.aside) == (Quality.BAD, "an array of more than one dimension")


@pytest.mark.parametrize("stamp", [ENDLESS, datetime(2087, 5, 1, tzinfo=UTC), datetime(1601, 1, 1, tzinfo=UTC)])
def test_a_stable_value_is_good_whatever_the_server_puts_into_its_own_stamp(stamp: datetime) -> None:
    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            peer.server.set_force_server_timestamp(False)
            measured = datetime.now(UTC) - timedelta(seconds=1)
            await peer.nodes["t"].write_value(
                ua.DataValue(ua.Variant(5.0), SourceTimestamp=measured, ServerTimestamp=stamp)
            )
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t", longest_silence=0.3)), keeper):
                await until(lambda: len(keeper.of("t")) >= 2)
            first, *again = keeper.of("t")
            assert {(reading.value, reading.quality, reading.reason) for reading in keeper.of("t")} == {
                (5.0, Quality.GOOD, "")
            }
            assert first.at == measured
            assert all(timedelta(0) <= reading.edge_at - reading.at < timedelta(seconds=1.5) for reading in again)

    asyncio.run(main())


def test_history_that_begins_at_the_servers_restart_leaves_the_time_before_as_a_gap() -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        config = source(f"opc.tcp://127.0.0.1:{port}", "t")
        collector = OpcUaCollector(config)
        async with machine(port, {"t": 4.0}) as peer:
            await peer.historize("t")
            task = asyncio.create_task(collector.run(keeper))
            await until(lambda: keeper.of("t") and "server started" in config.remembered)
        with pytest.raises(SourceLost):
            await task
        last = keeper.of("t")[-1].at
        collector = OpcUaCollector(config, last_kept={f"{ZONE}/machine/t": last})
        async with machine(port, {"t": 4.0}) as peer:
            for value in (6.0, 7.0, 8.0):
                await peer.write("t", value)
                await peer.historize(*(["t"] if value == 6.0 else []))  # the initial value is not in it
            async with running(collector, keeper):
                await until(lambda: collector.live_upto(datetime.now(UTC)))
        by_time = sorted({(reading.at, reading.value) for reading in keeper.of("t")})
        assert [value for _, value in by_time] == [4.0, 6.0, 7.0, 8.0]
        (gap,) = keeper.gaps
        assert (gap.scope, gap.start, gap.stop) == (f"{ZONE}/machine/t", last, by_time[1][0])

    asyncio.run(main())


def test_a_namespace_that_comes_late_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opcua_session, "_RETRY_REFUSED", 0.3)

    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            nodes = [
                {"node": f"nsu={NAMESPACE};s=t", "point": f"{ZONE}/machine/t"},
                {"node": "nsu=urn:late;s=x", "point": f"{ZONE}/machine/x"},
            ]
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, nodes=nodes)), keeper):
                await until(lambda: keeper.of("x"))
                assert keeper.of("x")[0].quality is Quality.BAD
                index = await peer.server.register_namespace("urn:late")
                await peer.server.nodes.objects.add_variable(ua.NodeId("x", index), "x", 3.5)
                await until(lambda: 3.5 in keeper.values("x"))

    asyncio.run(main())


def test_a_server_that_lost_all_nodes_is_lost_and_one_that_never_had_them_is_the_operators() -> None:
    async def main() -> None:
        port, keeper = free_port(), Memory()
        collector = OpcUaCollector(source(f"opc.tcp://127.0.0.1:{port}", "t"))
        async with machine(port, {"u": 4.0}):
            with pytest.raises(SourceMisconfigured, match="BadNodeIdUnknown"):
                await collector.run(keeper)
            known = OpcUaCollector(
                source(f"opc.tcp://127.0.0.1:{port}", "t"), last_kept={f"{ZONE}/machine/t": datetime.now(UTC)}
            )
            with pytest.raises(SourceLost, match="BadNodeIdUnknown"):  # it is still loading its project
                await known.run(keeper)

    asyncio.run(main())


def test_an_outdated_encryption_of_the_password_is_called_that() -> None:
    async def main() -> None:
        client = StrictClient(OpcUaServer.model_validate({"endpoint": "opc.tcp://h:1", "user": "u", "password": "p"}))
        uri = "http://opcfoundation.org/UA/SecurityPolicy#Basic256"
        client._policy_ids = [ua.UserTokenPolicy(TokenType=ua.UserTokenType.UserName, SecurityPolicyUri=uri)]
        with pytest.raises(SourceMisconfigured, match="encrypted only by what is outdated, Basic256;"):
            client.server_policy(ua.UserTokenType.UserName)

    asyncio.run(main())


async def refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers the opening of a secure channel with a fault, as node-opcua does a certificate it does not trust."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(8)
            await reader.readexactly(int.from_bytes(head[4:8], "little") - 8)
            if head.startswith(b"HEL"):
                writer.write(uatcp_to_binary(ua.MessageType.Acknowledge, ua.Acknowledge(0, 65535, 65535, 0, 0)))
                continue
            fault = ua.ServiceFault()
            fault.ResponseHeader.ServiceResult = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadCertificateUntrusted))
            policy = ua.AsymmetricAlgorithmHeader("http://opcfoundation.org/UA/SecurityPolicy#None")
            body = b"".join(map(struct_to_binary, (policy, ua.SequenceHeader(1, 1), fault)))
            writer.write(b"OPNF" + (len(body) + 12).to_bytes(4, "little") + bytes(4) + body)
            await writer.drain()
    writer.close()


def test_a_server_that_refuses_the_channel_is_quoted() -> None:
    async def main() -> None:
        server = await asyncio.start_server(refusing, "127.0.0.1", 0)
        config = source(f"opc.tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", "t")
        with pytest.raises(SourceMisconfigured, match=r"BadCertificateUntrusted: .*trust list"):
            await OpcUaCollector(config).run(Memory())
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)

    asyncio.run(main())


def test_a_server_that_does_not_tell_its_state_nor_how_long_a_session_lasts_is_not_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def untold(client: Client) -> object:
        made = await create(client)
        client.session_timeout = 0.0
        return made

    create = Client.create_session
    monkeypatch.setattr(Client, "create_session", untold)

    async def main() -> None:
        async with machine(free_port(), {"t": 4.0}) as peer:
            state = peer.server.get_node(ua.ObjectIds.Server_ServerStatus_State)
            denied = ua.StatusCode(ua.UInt32(ua.StatusCodes.BadUserAccessDenied))
            await state.write_value(ua.DataValue(StatusCode=denied))
            keeper = Memory()
            async with running(OpcUaCollector(source(peer, "t", timeout=0.7)), keeper) as task:
                await until(lambda: keeper.of("t"))
                await asyncio.sleep(1.6)  # the library looks once every time-out
                assert not task.done()

    asyncio.run(main())


def test_a_deep_address_space_is_listed_to_its_end_and_a_wrong_start_is_said() -> None:
    async def main() -> None:
        async with machine(free_port(), {"n": 7}) as peer:
            index = await peer.server.get_namespace_index(NAMESPACE)
            folder = top = await peer.server.nodes.objects.add_folder(index, "top")
            for level in range(40):
                folder = await folder.add_folder(index, f"level-{level}")
            await folder.add_reference(top, ua.ObjectIds.Organizes, bidirectional=False)
            for number in range(3):
                await folder.add_variable(ua.NodeId(f"deep-{number}", index), f"deep-{number}", number)
            server = OpcUaServer(endpoint=peer.endpoint)
            listing = ("n", "deep-0", "deep-1", "deep-2")
            listed = [node.node_id async for node in browse(server)]
            assert listed == [f"nsu={NAMESPACE};s={n}" for n in listing]
            wrong = {
                "ns=9;i=1": "has no node ns=9;i=1",
                "nonsense": "no node id",
                "nsu=urn:x;i=1": "no namespace urn:x",
            }
            for start, said in wrong.items():
                with pytest.raises(SourceMisconfigured, match=said):
                    _ = [node async for node in browse(server, start)]

    asyncio.run(main())
