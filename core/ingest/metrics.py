"""What an ingest worker tells Prometheus, on a port of its own (`LOTWISE_INGEST_METRICS_PORT`)."""

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

OUT_OF = CollectorRegistry()
READINGS = Counter(
    "lotwise_ingest_readings",
    "Readings committed, by what became of them: new, duplicate, conflict (a second value), dead (not understood).",
    ["outcome"],
    registry=OUT_OF,
)
BATCHES = Counter("lotwise_ingest_batches", "Batches committed, so confirmed.", registry=OUT_OF)
REPEATED = Counter("lotwise_ingest_batches_repeated", "Batches that had been committed before.", registry=OUT_OF)
FAILURES = Counter(
    "lotwise_ingest_transaction_failures", "Transactions that failed and are tried again.", registry=OUT_OF
)
SECONDS = Histogram(
    "lotwise_ingest_transaction_seconds",
    "How long a transaction took: landed, judged, confirmed.",
    registry=OUT_OF,
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
COMMITTED = Gauge(
    "lotwise_ingest_committed_timestamp_seconds", "When the last transaction was committed.", registry=OUT_OF
)


class Counts(Protocol):
    """What a transaction did."""

    batches: int
    repeated: int
    new: int
    duplicates: int
    conflicts: int
    dead: int


def count(done: Counts, seconds: float) -> None:
    """Counts a transaction that is committed, and took so long."""
    for outcome, number in (
        ("new", done.new),
        ("duplicate", done.duplicates),
        ("conflict", done.conflicts),
        ("dead", done.dead),
    ):
        READINGS.labels(outcome).inc(number)
    BATCHES.inc(done.batches)
    REPEATED.inc(done.repeated)
    SECONDS.observe(seconds)
    COMMITTED.set_to_current_time()
