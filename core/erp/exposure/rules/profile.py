"""Storage profiles as the judge sees them: limits, allowances, MKT, the longest allowed gap."""

import operator
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["instant", "consecutive", "cumulative"]

_COMPARE: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


@dataclass(frozen=True, slots=True)
class Limit:
    """A value for which `value op threshold` holds is out. Thresholds in the quantity's canonical unit.

    A count breaks at >= `delay` (microseconds; 0 for instant). `hysteresis` (>= 0) moves the threshold at which an
    alarm or excursion ends, back into the range; it never counts minutes. Limits of the same `allowance` spend one
    budget together.
    """

    key: str
    quantity: str
    op: str
    threshold: float
    kind: Kind
    delay: int = 0
    hysteresis: float = 0.0
    allowance: str | None = None

    def __post_init__(self) -> None:
        if self.op not in _COMPARE:
            raise ValueError(f"limit {self.key}: comparator {self.op!r} is none of {', '.join(_COMPARE)}")
        if self.kind != "instant" and self.delay <= 0:
            raise ValueError(f"limit {self.key}: {self.kind} needs a delay above zero")
        if self.hysteresis < 0:
            raise ValueError(f"limit {self.key}: hysteresis below zero")

    @property
    def high(self) -> bool:
        """Whether too much is out (else too little)."""
        return self.op in (">", ">=")

    def out(self, value: Any) -> Any:
        """Whether a value (or each of an array) is out; NaN is not."""
        return _COMPARE[self.op](value, self.threshold)

    @property
    def back(self) -> float:
        """The threshold moved by the hysteresis into the range: beyond it a value has come back."""
        return self.threshold - self.hysteresis if self.high else self.threshold + self.hysteresis

    def not_back(self, value: Any) -> Any:
        """Whether a value (or each of an array) has not come back past the hysteresis; NaN has."""
        return _COMPARE[self.op](value, self.back)

    def rank(self, values: Sequence[float]) -> tuple[int, int]:
        """Where threshold and `back` fall among sorted values: limits of one direction and one rank take the same
        ones of them as out, and as not back.
        """
        place = bisect_right if self.op in (">", "<=") else bisect_left
        return place(values, self.threshold), place(values, self.back)


@dataclass(frozen=True, slots=True)
class Profile:
    """A version of a storage profile. Times in microseconds, temperatures in degrees Celsius.

    `allowed_gap`: how long a good value speaks when nothing follows. `shortest_event`: a shorter run spends nothing
    of a cumulative count. `mkt_limit` over `mkt_window`; activation energy in kJ/mol (USP <1079.2>).
    """

    version_id: int
    limits: tuple[Limit, ...]
    allowed_gap: int
    shortest_event: int = 0
    mkt_limit: float | None = None
    mkt_window: int = 0
    activation_energy: float = 83.14472

    def __post_init__(self) -> None:
        if self.allowed_gap <= 0:
            raise ValueError(f"profile version {self.version_id}: the allowed gap must be above zero")
        keys = [limit.key for limit in self.limits]
        if len(set(keys)) != len(keys):
            raise ValueError(f"profile version {self.version_id}: two limits share a key")
