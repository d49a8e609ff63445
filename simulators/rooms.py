"""A cooled space that lives: its physics follow the real clock, faster by the speed-up, and it is worked by hand."""

import time
from collections.abc import Callable

from simulators.physics import PRESETS, Room, RoomSpec, Sensor, SensorSpec

Seconds = Callable[[], float]
"""A monotonic clock, real seconds. Handed in; only the physics are sped up, never this."""


class ColdRoom:
    """A cold room, freezer or truck box, by its address `site/area/zone`.

    `speed_up` is simulated seconds for each real one. It moves on whenever it is looked at or worked, so it needs
    no task of its own; before `start` and after `stop` its time stands still. Durations handed in are real seconds.
    """

    def __init__(
        self,
        zone: str,
        spec: RoomSpec | str = "cold_room",
        *,
        speed_up: float = 1.0,
        seed: int = 0,
        clock: Seconds = time.monotonic,
    ) -> None:
        if speed_up <= 0:
            raise ValueError(f"{zone}: speed-up must be above zero, not {speed_up}")
        self.zone = zone
        self.speed_up = speed_up
        self.seed = seed
        self._room = Room(PRESETS[spec] if isinstance(spec, str) else spec)
        self._clock = clock
        self._seen: float | None = None
        self._door_until: float | None = None
        self._power_until: float | None = None

    async def start(self) -> None:
        """Lets its time run."""
        self._seen = self._clock()

    async def stop(self) -> None:
        """Stops its time where it is."""
        self.state()
        self._seen = None

    def state(self) -> Room:
        """The physics, moved on to now. For reading; to act on it use the methods, which know the time."""
        if self._seen is not None:
            now = self._clock()
            for at in sorted(at for at in (self._door_until, self._power_until) if at is not None and at <= now):
                self._advance_to(max(at, self._seen))
                self._end_timed(at)
            self._advance_to(now)
        return self._room

    def _advance_to(self, now: float) -> None:
        assert self._seen is not None
        self._room.advance(max(0.0, now - self._seen) * self.speed_up)
        self._seen = max(now, self._seen)

    def _end_timed(self, now: float) -> None:
        if self._door_until is not None and self._door_until <= now:
            self._door_until, self._room.door_open = None, False
        if self._power_until is not None and self._power_until <= now:
            self._power_until, self._room.powered = None, True

    def _deadline(self, duration: float | None) -> float | None:
        return None if duration is None else self._clock() + duration

    @property
    def temperature(self) -> float:
        """True temperature of the air now, °C."""
        return self.state().air

    @property
    def humidity(self) -> float:
        """True relative humidity of the air now, %."""
        return self.state().humidity

    def open_door(self, duration: float | None = None) -> None:
        """Opens the door, for a number of real seconds or until it is closed."""
        self.state().door_open = True
        self._door_until = self._deadline(duration)

    def close_door(self) -> None:
        """Closes the door."""
        self.state().door_open = False
        self._door_until = None

    def fail_compressor(self) -> None:
        """The compressor breaks down."""
        self.state().failed = True

    def repair(self) -> None:
        """The compressor works again and the power is back."""
        room = self.state()
        room.failed, room.powered = False, True
        self._power_until = None

    def power_off(self, duration: float | None = None) -> None:
        """The power fails, for a number of real seconds or until it is back."""
        self.state().powered = False
        self._power_until = self._deadline(duration)

    def power_on(self) -> None:
        """The power is back."""
        self.state().powered = True
        self._power_until = None

    def enable_compressor(self, *, enabled: bool) -> None:
        """Orders the compressor to follow the thermostat, or to stay off."""
        self.state().enabled = enabled

    def set_ambient(self, temperature: float) -> None:
        """Changes the temperature around it, °C."""
        self.state().ambient = temperature

    def set_setpoint(self, temperature: float) -> None:
        """Changes the thermostat, °C."""
        self.state().setpoint = temperature

    def set_hysteresis(self, width: float) -> None:
        """Changes the width of the thermostat's band, K. Raises ValueError unless above zero."""
        if width <= 0:
            raise ValueError(f"{self.zone}: hysteresis must be above zero, not {width}")
        self.state().hysteresis = width

    def load_product(self, kg: float, temperature: float) -> None:
        """Brings in product of a temperature, °C."""
        self.state().load(kg, temperature)

    def force_temperature(self, temperature: float) -> None:
        """Puts air and product at a temperature at once, °C: a shortcut for a demo that cannot wait."""
        room = self.state()
        room.air = room.product = temperature

    def probe(self, name: str, spec: SensorSpec | None = None) -> Callable[[], float]:
        """A temperature sensor in this room, °C; its noise follows from the room's seed and the name."""
        sensor = Sensor(spec or SensorSpec(), f"{self.seed}:{self.zone}:{name}")

        def read() -> float:
            room = self.state()
            return sensor.read(room.air if sensor.spec.where == "air" else room.product, room.elapsed)

        return read

    def humidity_probe(self, name: str, spec: SensorSpec | None = None) -> Callable[[], float]:
        """A humidity sensor in this room, %, never outside 0–100."""
        sensor = Sensor(spec or SensorSpec(noise=0.5, resolution=0.1), f"{self.seed}:{self.zone}:{name}:humidity")

        def read() -> float:
            room = self.state()
            return min(100.0, max(0.0, sensor.read(room.humidity, room.elapsed)))

        return read
