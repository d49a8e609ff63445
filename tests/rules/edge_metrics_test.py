"""What a gateway tells Prometheus can be read by Prometheus, and is named by its conventions."""

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families

from edge.health import ClockHealth, Health, SourceHealth, SpoolHealth, StreamHealth, metrics

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def health(source: str) -> Health:
    return Health(
        ok=False,
        gateway="gw-1",
        site="plant",
        instance="test",
        at=NOW,
        sources=(
            SourceHealth(source, "lost", False, NOW, 'no "answer"\n', None, None, 7, 2, 1, {"polls_skipped": 3}, 4),
        ),
        spool=SpoolHealth("e", 1, 7, 494, 494, 4096, NOW, 6.2, None, 0, {'… is "no" number\\': 2}),
        stream=StreamHealth(False, None, False, {"stream": "not connected"}, 0, 0, 0, 0, 0),
        clock=ClockHealth(True, None, 0, None),
    )


def test_the_text_is_prometheus_and_every_name_follows_its_conventions() -> None:
    families = {family.name: family for family in text_string_to_metric_families(metrics(health("a")).decode())}
    for name, family in families.items():
        assert name.startswith("lotwise_edge_")
        assert family.documentation
        assert family.type in {"gauge", "counter"}
        for sample in family.samples:
            assert sample.name == name + ("_total" if family.type == "counter" else "")
        # base units only, and no unit but in its place
        assert not any(part in name.split("_") for part in ("ms", "millis", "minutes", "kb", "mb"))
    assert families["lotwise_edge_up"].samples[0].value == 0
    assert families["lotwise_edge_source_events"].samples[0].labels == {"source": "a", "event": "polls_skipped"}
    assert families["lotwise_edge_payloads_aside"].samples[0].labels == {"reason": '… is "no" number\\'}
    # a source that has said nothing yet has no time of a last reading, rather than 1970
    assert families["lotwise_edge_source_last_reading_timestamp_seconds"].samples == []
