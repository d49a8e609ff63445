"""The devices of `bench latency`, as a process of their own: a steady load, and single readings out of range.

`python -m lotwise.bench.publisher PORT RATE ZONES EVERY`: sensor z1 … zZONES in turn, RATE readings a second in all,
each with the device's stamp in microseconds. After "go N" on standard input, N zones one after the other, every EVERY
seconds, say one warm value; then "done" is printed. It ends when its input ends.
"""

import sys
import threading
import time

from lotwise.bench.broker import disconnect, publisher, settle

COLD, WARM = 5.0, 12.0
TICK = 0.005


class Devices:
    """Publishes until `stop`; `warm` names how many zones are still to speak out of range, first to last."""

    def __init__(self, port: int, rate: float, zones: int, every: float) -> None:
        self.stop = threading.Event()
        self.through = threading.Event()
        self.warm = 0
        self._rate, self._zones, self._every = rate, zones, every
        self._client = publisher(port)
        self._done: list[int] = []
        self._sent = 0
        self._client.on_publish = lambda _c, _u, mid, *_: self._done.append(mid)

    def run(self) -> None:
        """The load, until stopped; at most 5 000 messages wait for the broker."""
        begun = time.monotonic()
        warmed, next_warm = 0, 0.0
        while not self.stop.is_set():
            now = time.monotonic()
            if self.warm > warmed and now >= next_warm:
                self._publish(warmed % self._zones, WARM)
                warmed += 1
                next_warm = now + self._every
                if warmed == self.warm:
                    self.through.set()
            for _ in range(int((now - begun) * self._rate) - self._sent):
                # a warm reading is one of the load's
                self._publish(self._sent % self._zones, COLD)
            settle(self._done, self._sent - 5_000)
            time.sleep(TICK)
        disconnect(self._client)

    def _publish(self, zone: int, value: float) -> None:
        self._sent += 1
        stamp = time.time_ns() // 1000
        self._client.publish(f"bench/z{zone + 1}/p1", f'{{"t": {value}, "ts": {stamp}}}', qos=1)


def main(port: int, rate: float, zones: int, every: float) -> None:
    """Runs the load in a thread and listens to standard input."""
    devices = Devices(port, rate, zones, every)
    thread = threading.Thread(target=devices.run)
    thread.start()
    for line in sys.stdin:
        devices.warm = int(line.split()[1])
        devices.through.wait()
        print("done", flush=True)
    devices.stop.set()
    thread.join()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4]))
