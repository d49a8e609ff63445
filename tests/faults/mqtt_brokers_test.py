"""What brokers of other makers do though nobody asked for it."""

import asyncio
import struct

from edge.collectors.mqtt import MqttCollector
from tests.services.mqtt_support import MemoryKeeper, running, source, until

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
        writer.close()


def test_a_publication_at_qos_2_is_kept_once_and_settled() -> None:
    async def main() -> None:
        broker = Broker()
        server = await asyncio.start_server(broker.serve, "127.0.0.1", 0)
        collector = MqttCollector(source(server.sockets[0].getsockname()[1], version="3.1.1"))
        async with running(collector, broker.keeper):
            await until(lambda: 0x70 in broker.steps)
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.05)
        assert [reading.value for reading in broker.keeper.readings] == [4.25]
        assert set(broker.kept_at_rec) == {1}
        # some brokers refuse an identifier that they have just used themselves
        assert broker.subscribed_as[0] > 0x8000

    asyncio.run(main())
