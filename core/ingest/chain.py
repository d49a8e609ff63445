"""The chain of a gateway's epochs: whether anything of an earlier one can still come.

Each epoch's number 1 names the one before and its last numbers. An epoch that names none while others of its gateway
are open (a spool was lost) waits for them to be closed. It also says which sources the gateway has.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, text

from core.telemetry.address import partitions_named
from core.telemetry.batch import Announced


class Key(NamedTuple):
    """One run of numbers."""

    gateway: str
    epoch: str
    partition: int


@dataclass(slots=True)
class Run:
    """How far a run is confirmed, and whether all before it is complete."""

    through: int = 0
    follows: bool = False
    is_new: bool = True


@dataclass(frozen=True, slots=True)
class Epoch:
    """What an epoch said of the one before it; `number` is the order in which they were heard of."""

    number: int
    announced: bool
    previous: str | None
    last_numbers: dict[str, int]
    closed: bool


@dataclass(slots=True)
class Chain:
    """The epochs of some gateways, and how far they are confirmed in some partitions."""

    epochs: dict[str, dict[str, Epoch]] = field(default_factory=lambda: defaultdict(dict))
    runs: dict[Key, Run] = field(default_factory=dict)

    def earlier_complete(self, key: Key) -> bool:
        """Whether nothing of an earlier epoch can still come in the key's partition."""
        known = self.epochs[key.gateway]
        epoch = known[key.epoch]
        seen = {key.epoch}
        while True:
            if epoch.previous is None:
                return self._root_complete(key, epoch, seen)
            name = epoch.previous
            if name in seen:
                return False
            seen.add(name)
            # an epoch cut into more partitions than there are today told of the same zones under several of them
            runs = {named: self.runs.get(Key(key.gateway, name, named)) for named in partitions_named(key.partition)}
            before = known.get(name)
            closed = before is not None and before.closed
            if not closed and any(
                (run.through if run else 0) < epoch.last_numbers.get(str(named), 0) for named, run in runs.items()
            ):
                return False
            if any(run is not None and run.follows for run in runs.values()):
                return True
            if before is None:
                return closed
            epoch = before

    def _root_complete(self, key: Key, epoch: Epoch, chain: set[str]) -> bool:
        if not epoch.announced and not epoch.closed:
            return False
        others = self.epochs[key.gateway]
        return all(
            other.closed or name in chain or other.number > epoch.number or self._follows(others, name, chain)
            for name, other in others.items()
        )

    @staticmethod
    def _follows(others: dict[str, Epoch], name: str, chain: set[str]) -> bool:
        """Whether the epoch's own chain runs through this one: it is a later start of the same spool."""
        walked: set[str] = set()
        current: str | None = name
        while current is not None and current not in walked:
            if current in chain:
                return True
            walked.add(current)
            known = others.get(current)
            current = known.previous if known is not None else None
        return False


def record_sources(conn: Connection, key: Key, announced: Announced) -> None:
    """Writes down what an epoch, heard of before, says of its sources; what it said first stands."""
    conn.execute(
        text(
            "UPDATE gateway_epoch SET config = :config, sources = :sources "
            "WHERE gateway = :g AND epoch = :e AND sources IS NULL"
        ),
        {"g": key.gateway, "e": key.epoch, "config": announced.config, "sources": sorted(announced.sources)},
    )


def load_chain(conn: Connection, gateways: set[str], partitions: set[int], runs: dict[Key, Run]) -> Chain:
    """Reads the epochs of gateways and their progress in partitions, under every name that these had; `runs` are newer
    than the database.
    """
    chain = Chain()
    rows = conn.execute(
        text(
            "SELECT e.gateway, e.epoch, e.id, e.announced, e.previous, e.last_numbers, c.epoch IS NOT NULL "
            "FROM gateway_epoch e LEFT JOIN epoch_closed c ON c.gateway = e.gateway AND c.epoch = e.epoch "
            "WHERE e.gateway = ANY(:gateways)"
        ),
        {"gateways": sorted(gateways)},
    )
    for gateway, epoch, number, announced, previous, last_numbers, closed in rows:
        chain.epochs[gateway][epoch] = Epoch(number, announced, previous, last_numbers, closed)
    progress = conn.execute(
        text(
            "SELECT gateway, epoch, partition, through, follows FROM batch_progress "
            "WHERE gateway = ANY(:gateways) AND partition = ANY(:partitions)"
        ),
        {
            "gateways": sorted(gateways),
            "partitions": sorted({named for partition in partitions for named in partitions_named(partition)}),
        },
    )
    for gateway, epoch, partition, through, follows in progress:
        chain.runs[Key(gateway, epoch, partition)] = Run(through, follows, is_new=False)
    chain.runs.update(runs)
    return chain
