"""What brokers of other makers do though nobody asked for it."""

import asyncio
import struct

import pytest

from edge.collectors.mqtt import TAKEN_OVER, MqttCollector
from edge.collectors.port import SourceMisconfigured
from tests.services.mqtt_support import MemoryKeeper, peer, running, source, until

TOPIC = b"plant/room-1/probe-2/temperature"


class Broker:
    """Accepts everybody and, once subscribed to, publishes at QoS 2 though 1 was granted. Ends when that is settled."""

    def __init__(self) -> None:
        self.subscribed_as: list[int] = []
        self.steps: list[int] = []
        self.keeper = MemoryKeeper()
        self.kept_at_rec: list[int] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.read(2):
            kind, body = head[0] & 0xF0, await reader.readexactly(head[1])
            self.steps.append(kind)
            if kind == 0x10:
                writer.write(b"\x20\x02\x00\x00")
            elif kind == 0x80:
                self.subscribed_as += struct.unpack_from("!H", body)
                published = struct.pack("!H", len(TOPIC)) + TOPIC + b"\x00\x05" + b"4.25"
                writer.write(b"\x90\x03" + body[:2] + b"\x01")
                # twice, as a broker does that has not seen the answer
                for flags in (0x34, 0x3C):
                    writer.write(bytes([flags, len(published)]) + published)
            elif kind == 0x50:
                self.kept_at_rec.append(len(self.keeper.readings))
                writer.write(b"\x62\x02" + body[:2])
            await writer.drain()


def test_a_publication_at_qos_2_is_kept_once_and_settled() -> None:
    async def main() -> None:
        broker = Broker()
        async with (
            peer(broker.serve) as port,
            running(MqttCollector(source(port, version="3.1.1")), broker.keeper),
        ):
            await until(lambda: 0x70 in broker.steps)
        assert [reading.value for reading in broker.keeper.readings] == [4.25]
        assert set(broker.kept_at_rec) == {1}
        # some brokers refuse an identifier that they have just used themselves
        assert broker.subscribed_as[0] > 0x8000

    asyncio.run(main())


def test_a_session_that_another_client_had_meanwhile_is_a_gap() -> None:
    """What the broker delivered to the other will never come to us, though our session is there still."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while head := await reader.read(2):
            body = await reader.readexactly(head[1])
            if head[0] & 0xF0 == 0x10:
                writer.write(bytes([0x20, 3, connections > 1, 0, 0]))
            elif head[0] & 0xF0 == 0x80:
                writer.write(b"\x90\x04" + body[:2] + b"\x00\x01")
                if connections == 1:
                    writer.write(b"\xe0\x02\x8e\x00")

    async def main() -> None:
        async with peer(serve) as port:
            config, keeper = source(port, version="5"), MemoryKeeper()
            with pytest.raises(SourceMisconfigured, match="taken over"):
                await MqttCollector(config).run(keeper)
            assert keeper.gaps == []
            for _ in range(2):  # told once
                async with running(MqttCollector(config), keeper):
                    await until(lambda: keeper.gaps)
            (gap,) = keeper.gaps
            assert (gap.scope, gap.reason) == ("source:plant", TAKEN_OVER)
            assert gap.start < gap.stop

    asyncio.run(main())
