"""Physics of a cooled space and of the sensor in it: simple, honest, deterministic. No clock, no driver.

Two lumped masses, air (with racking and inner skin) and product, joined by one conductance; walls and door are
conductances to the ambient; the compressor takes away a constant power while it runs. Temperatures in °C, heat
capacities in J/K, conductances in W/K, power in W, durations in simulated seconds.
"""

import math
import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

STEP_S = 5.0
"""Longest step of the integration, simulated seconds: a hundredth of the shortest time constant that matters."""
PRODUCT_J_PER_KG_K = 3500.0
"""Specific heat of mostly aqueous goods, J/(kg·K); water is 4186, packed goods are less."""
PRODUCT_W_PER_KG_K = 0.25
"""Conductance from goods on pallets to the air around them, W/K for each kg."""
DAY_S = 86_400.0


class RoomSpec(BaseModel):
    """What a cooled space is made of. The defaults are a walk-in cold room of about 100 m³ holding 2–8 °C goods."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    air_capacity: float = Field(default=600_000, gt=0)
    """Heat capacity of air, racking and inner skin, J/K."""
    wall: float = Field(default=40, ge=0)
    """Conductance of the walls, W/K."""
    door: float = Field(default=450, ge=0)
    """Further conductance while the door is open, W/K."""
    cooling: float = Field(default=4_000, ge=0)
    """Heat the compressor takes away while it runs, W."""
    setpoint: float = 5.0
    hysteresis: float = Field(default=1.5, gt=0)
    """Width of the thermostat's band around the setpoint, K."""
    shortest_rest: float = Field(default=120, ge=0)
    """The compressor stays off at least this long, simulated s (protects it against short cycles)."""
    ambient: float = 22.0
    start: float = 5.0
    """Temperature of air and product at the beginning."""
    product_kg: float = Field(default=500, ge=0)


PRESETS: dict[str, RoomSpec] = {
    "cold_room": RoomSpec(),
    "freezer": RoomSpec(
        air_capacity=500_000, wall=30, door=350, cooling=4_500, setpoint=-20, hysteresis=2.0, start=-20, product_kg=800
    ),
    "truck": RoomSpec(
        air_capacity=150_000, wall=25, door=350, cooling=3_000, setpoint=5, hysteresis=1.5, ambient=28, product_kg=300
    ),
    "warehouse": RoomSpec(
        air_capacity=5_000_000,
        wall=300,
        door=900,
        cooling=8_000,
        setpoint=21,
        hysteresis=1.0,
        start=21,
        ambient=30,
        product_kg=5_000,
    ),
}
"""Spaces by the kind a scenario names."""


class Heat(BaseModel):
    """Energy that went into the space since the beginning, J; `removed` is what the compressor took out."""

    walls: float = 0.0
    door: float = 0.0
    removed: float = 0.0
    loaded: float = 0.0


class Room:
    """One cooled space. `advance` moves it on; everything else changes what acts on it from then on."""

    def __init__(self, spec: RoomSpec) -> None:
        self.spec = spec
        self.air = spec.start
        self.product = spec.start
        self.humidity = 55.0
        self.product_kg = spec.product_kg
        self.ambient = spec.ambient
        self.setpoint = spec.setpoint
        self.hysteresis = spec.hysteresis
        self.door_open = False
        self.powered = True
        self.failed = False
        self.enabled = True
        self.running = False
        self.elapsed = 0.0
        self.run_seconds = 0.0
        self.door_seconds = 0.0
        """How long the door has been open now; 0 while it is shut."""
        self.heat = Heat()
        self._rested = spec.shortest_rest

    def advance(self, seconds: float) -> None:
        """Moves on by simulated seconds, in equal steps of at most STEP_S. Raises ValueError if negative."""
        if seconds < 0:
            raise ValueError(f"a room cannot go back by {-seconds} s")
        steps = math.ceil(seconds / STEP_S)
        for _ in range(steps):
            self._step(seconds / steps)

    def load(self, kg: float, temperature: float) -> None:
        """Brings in product of a temperature in °C; it mixes with what stands there. Raises ValueError if kg ≤ 0."""
        if kg <= 0:
            raise ValueError(f"cannot load {kg} kg")
        total = self.product_kg + kg
        self.heat.loaded += kg * PRODUCT_J_PER_KG_K * temperature
        self.product = (self.product_kg * self.product + kg * temperature) / total
        self.product_kg = total

    @property
    def energy(self) -> float:
        """Heat stored in air and product, J, relative to 0 °C."""
        return self.spec.air_capacity * self.air + self.product_kg * PRODUCT_J_PER_KG_K * self.product

    def _thermostat(self, h: float) -> None:
        """Two-point control with a rest time; nothing runs without power, order and health."""
        can_run = self.powered and self.enabled and not self.failed
        if self.running and (not can_run or self.air <= self.setpoint - self.hysteresis / 2):
            self.running = False
            self._rested = 0.0
        elif (
            not self.running
            and can_run
            and self._rested >= self.spec.shortest_rest
            and self.air >= self.setpoint + self.hysteresis / 2
        ):
            self.running = True
        self._rested = 0.0 if self.running else self._rested + h

    def _step(self, h: float) -> None:
        """One step of implicit Euler: stable at any step, monotone, and exact in its energy balance."""
        self._thermostat(h)
        spec = self.spec
        door = spec.door if self.door_open else 0.0
        power = spec.cooling if self.running else 0.0
        mass = self.product_kg * PRODUCT_J_PER_KG_K
        join = h * self.product_kg * PRODUCT_W_PER_KG_K
        outside = h * (spec.wall + door)
        share = join / (mass + join) if mass else 0.0
        left = spec.air_capacity + outside + join * (1 - share)
        right = spec.air_capacity * self.air + outside * self.ambient - h * power + share * mass * self.product
        self.air = right / left
        if mass:
            self.product = (mass * self.product + join * self.air) / (mass + join)
        self.heat.walls += h * spec.wall * (self.ambient - self.air)
        self.heat.door += h * door * (self.ambient - self.air)
        self.heat.removed += h * power
        target, constant = (85.0, 300.0) if self.door_open else (55.0, 1200.0)
        self.humidity += (target - self.humidity) * -math.expm1(-h / constant)
        self.elapsed += h
        self.door_seconds = self.door_seconds + h if self.door_open else 0.0
        if self.running:
            self.run_seconds += h


class SensorSpec(BaseModel):
    """How a sensor departs from the truth, in its own unit; times in simulated seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    noise: float = Field(default=0.05, ge=0)
    """Standard deviation of each reading."""
    bias: float = 0.0
    drift_per_day: float = 0.0
    lag: float = Field(default=30, ge=0)
    """Time constant of the probe; a buffered probe has some 600 s."""
    resolution: float = Field(default=0.01, ge=0)
    where: Literal["air", "product"] = "air"


class Sensor:
    """One sensor. The same seed and the same calls give the same readings."""

    def __init__(self, spec: SensorSpec, seed: str) -> None:
        self.spec = spec
        self._random = random.Random(seed)  # noqa: S311 - measurement noise, not a secret
        self._felt: float | None = None
        self._at = 0.0

    def read(self, truth: float, elapsed: float) -> float:
        """What it shows for the true value at `elapsed` simulated seconds since the beginning (never going back)."""
        spec = self.spec
        if self._felt is None or spec.lag == 0:
            self._felt = truth
        else:
            self._felt += (truth - self._felt) * -math.expm1(-max(0.0, elapsed - self._at) / spec.lag)
        self._at = elapsed
        shown = self._felt + spec.bias + spec.drift_per_day * elapsed / DAY_S + self._random.gauss(0.0, spec.noise)
        return shown if spec.resolution == 0 else round(round(shown / spec.resolution) * spec.resolution, 6)
