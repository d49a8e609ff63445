"""What `lotwise prove` says: three sides' figures, and what does not agree."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

MEANING = {
    "missing": "the gateway has cut it and the core has not confirmed it",
    "stranger": "the core has confirmed it and this spool knows nothing of it",
    "hole": "the spool itself has lost a number",
    "hash": "both sides have it, with different content",
    "count": "what was confirmed is not accounted for",
    "absent": "it was shipped, and the series store does not have it",
    "unlike": "it was shipped, and the series store has something else",
    "foreign": "the series store has more than was shipped",
}
"""What each kind of difference says."""
SHOWN = 50
"""How many differences of one kind are listed where there may be very many."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not agree. Without epoch, partition and number it is of the series, not of a batch."""

    kind: str
    epoch: str | None
    partition: int | None
    number: int | None
    detail: str


@dataclass(slots=True)
class Side:
    """One side's figures."""

    batches: int = 0
    readings: int = 0
    more: dict[str, int | str] = field(default_factory=dict)

    def add(self, name: str, count: int) -> None:
        """Adds to one of the further figures."""
        self.more[name] = int(self.more.get(name, 0)) + count


@dataclass(slots=True)
class Report:
    """What the three sides say. `ok` only if they agree and there was something to agree on."""

    gateway: str
    start: datetime
    stop: datetime
    spool: Side = field(default_factory=Side)
    core: Side = field(default_factory=Side)
    series: Side = field(default_factory=Side)
    differences: list[Difference] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there was no reading to prove anything by."""
        return self.spool.readings == 0

    @property
    def ok(self) -> bool:
        """Whether delivery is proved."""
        return not self.empty and not self.differences

    def differ(
        self, kind: str, detail: str, epoch: str | None = None, partition: int | None = None, number: int | None = None
    ) -> None:
        """Puts down one difference."""
        self.differences.append(Difference(kind, epoch, partition, number, detail))

    def as_json(self) -> str:
        """One JSON object."""
        fields = {**asdict(self), "ok": self.ok, "empty": self.empty}
        return json.dumps(fields, default=lambda value: value.isoformat())
