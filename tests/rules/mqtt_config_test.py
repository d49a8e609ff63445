"""What an MQTT source's configuration takes, and what it says of what it does not take."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edge.collectors.decoders import DECODERS
from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_topics import PointTemplate, TopicFilter, overlapping
from edge.config import load


def source(**more: Any) -> dict[str, Any]:
    return {
        "name": "plant",
        "protocol": "mqtt",
        "host": "broker",
        "subscriptions": [{"topic": "plant/+/t", "decoder": "number", "point": "s/a/z/{1}/t"}],
    } | more


def subscription(**more: Any) -> dict[str, Any]:
    return {"topic": "plant/{zone}/+/#", "decoder": "number", **more}


def test_defaults() -> None:
    config = MqttSource.model_validate(source())
    assert (config.version, config.session, config.address) == ("5", "lotwise-plant", ("broker", 1883))
    assert MqttSource.model_validate(source(tls={})).address == ("broker", 8883)
    assert MqttSource.model_validate(source(version=5)).version == "5"
    assert MqttSource.model_validate(source(password="secret", username="u")).password is not None
    assert "secret" not in repr(MqttSource.model_validate(source(password="secret", username="u")))


def test_shared_subscription_and_named_wildcards_on_the_wire() -> None:
    config = MqttSource.model_validate(
        source(shared_group="gw", subscriptions=[subscription(point="s/a/{zone}/{2}/t")])
    )
    assert config.wire_filters() == ["$share/gw/plant/+/+/#"]


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"version": "3.1"}, "3.1.1"),
    ({"host": ""}, "host"),
    ({"port": 70000}, "port"),
    ({"password": "x"}, "needs a username"),
    ({"tls": {"ca": "/no/such/file"}}, "is not a file"),
    ({"tls": {"cert": __file__}}, "go together"),
    ({"tls": {"insecure": True}}, "insecure"),
    ({"shared_group": "a/b"}, "shared_group"),
    ({"receive_maximum": 0}, "receive_maximum"),
    ({"subscriptions": []}, "subscriptions"),
    ({"subscriptions": [subscription()]}, "either point or points"),
    ({"subscriptions": [subscription(point="s/a/z/d/t", points=[])]}, "either point or points"),
    ({"subscriptions": [subscription(point="s/a/z/t")]}, "5 segments"),
    ({"subscriptions": [subscription(point="s/a/z/{3}/t")]}, re.escape("{3} is unknown here")),
    ({"subscriptions": [subscription(point="s/a/z/{rom}/t")]}, re.escape("{rom} is unknown here")),
    ({"subscriptions": [subscription(point="s/a/z z/d/t")]}, "cannot be part of an address"),
    ({"subscriptions": [subscription(topic="a/#/b", point="s/a/z/d/t")]}, "last level"),
    ({"subscriptions": [subscription(topic="a/b+", point="s/a/z/d/t")]}, "must fill its level"),
    ({"subscriptions": [subscription(topic="$share/g/a", point="s/a/z/d/t")]}, "shared_group"),
    ({"subscriptions": [subscription(topic="{a}/{a}", point="s/a/z/d/t")]}, "is taken"),
    ({"subscriptions": [subscription(topic="", point="s/a/z/d/t")]}, "1 to 65535"),
    ({"subscriptions": [subscription(decoder="csv", point="s/a/z/d/t")]}, "csv"),
    (
        {"subscriptions": [subscription(decoder={"name": "json", "values": {"t": "$["}}, point="s/a/z/d/t")]},
        "JSON path",
    ),
    ({"subscriptions": [subscription(decoder={"name": "json"}, point="s/a/z/d/t")]}, "values"),
    ({"subscriptions": [subscription(decoder={"name": "tasmota", "timezone": "Mars/One"}, point="s/a/z/d/t")]}, "Mars"),
    (
        {"subscriptions": [subscription(point="s/a/z/{1}/t"), subscription(topic="plant/a/b/c", point="s/a/z/d/t")]},
        "overlap",
    ),
    (
        {
            "shared_group": "g",
            "subscriptions": [subscription(topic="spBv1.0/#", decoder="sparkplug_b", point="s/a/z/{device}/{field}")],
        },
        "every message of a node in order",
    ),
]
RULES: list[tuple[list[dict[str, Any]], str]] = [
    ([{"field": "t", "point": "s/a/z/d/t"}, {"field": "t", "point": "s/a/z/d/u"}], "two points"),
    ([{"field": "t", "point": "s/a/z/d/t"}, {"field": "u", "point": "s/a/z/d/t"}], "given to two fields"),
    ([{"field": "t", "point": "s/a/z/d/t", "minimum": 5, "maximum": 1}], "minimum is above"),
    ([{"field": "t", "point": "s/a/z/d/t", "omitted_is_zero": True}], "kind"),
    ([{"field": "t", "point": "s/a/z/d/t", "omitted_is_zero": True, "kind": "number"}], "only ttn_v3"),
]
WRONG += [({"subscriptions": [subscription(points=rules)]}, told) for rules, told in RULES]


@pytest.mark.parametrize(("more", "told"), WRONG)
def test_wrong_configurations_are_refused_with_the_reason(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        MqttSource.model_validate(source(**more))


def test_the_documented_example_is_valid_and_shows_every_decoder() -> None:
    example = Path(__file__).parents[2] / "edge/examples/mqtt.yaml"
    loaded = load(example, environment={"LOTWISE_STREAM_PASSWORD": "x", "LOTWISE_MQTT_PASSWORD": "y"})
    (broker,) = loaded.sources
    assert isinstance(broker, MqttSource)
    assert {one.decoder.name for one in broker.subscriptions} == set(DECODERS)


@pytest.mark.parametrize(
    ("text", "topic", "expected"),
    [
        ("a/+/c", "a/b/c", {"1": "b"}),
        ("a/+/c", "a//c", {"1": ""}),
        ("a/+", "a/b/c", None),
        ("a/#", "a", {"rest": ""}),
        ("a/#", "a/b/c", {"rest": "b/c"}),
        ("#", "a/b", {"rest": "a/b"}),
        ("#", "$SYS/x", None),
        ("+/x", "$SYS/x", None),
        ("{site}/+/{dev}/#", "s/a/d/x/y", {"1": "s", "site": "s", "2": "a", "3": "d", "dev": "d", "rest": "x/y"}),
        ("a.b/+", "axb/c", None),
        ("a/+/c", "a/b\nb/c", {"1": "b\nb"}),
    ],
)
def test_topics_match_as_the_standard_says(text: str, topic: str, expected: dict[str, str] | None) -> None:
    assert TopicFilter(text).match(topic) == expected


LEVEL = st.sampled_from(["a", "b", "+"])
FILTERS = st.builds(
    lambda levels, rest: "/".join([*levels, "#"] if rest else levels),
    st.lists(LEVEL, min_size=1, max_size=3),
    st.booleans(),
)


@given(FILTERS, FILTERS, st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4))
def test_filters_that_match_one_topic_overlap(one: str, other: str, levels: list[str]) -> None:
    topic = "/".join(levels)
    first, second = TopicFilter(one), TopicFilter(other)
    assert first.overlaps(second) == second.overlaps(first)
    if first.match(topic) is not None and second.match(topic) is not None:
        assert first.overlaps(second)


@given(st.lists(FILTERS, max_size=6))
def test_the_first_filter_that_overlaps_one_before_it_is_found(texts: list[str]) -> None:
    filters = [TopicFilter(text) for text in texts]
    pairs = [(one, two) for i, two in enumerate(filters) for one in filters[:i] if one.overlaps(two)]
    found = overlapping(filters)
    assert (found is None) == (not pairs)
    if found is not None:
        assert found in pairs
        assert found[1] is pairs[0][1]


def test_a_filter_of_many_levels_is_compared_too() -> None:
    deep = "/".join("a" * 5000)
    assert TopicFilter(deep).overlaps(TopicFilter(f"{deep}/#"))


@pytest.mark.parametrize(("one", "other"), [("a/+", "b/#"), ("a/b", "a/b/c"), ("a/+/c", "a/b/d"), ("a/+", "a/b/#/")])
def test_filters_apart_do_not_overlap(one: str, other: str) -> None:
    if "#/" in other:
        with pytest.raises(ValueError, match="last level"):
            TopicFilter(other)
    else:
        assert not TopicFilter(one).overlaps(TopicFilter(other))


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("s/a/{1}/{device}/t", {"1": "cold room", "device": "a/b"}, "s/a/cold-room/a-b/t"),
        ("{rest}", {"rest": "s/a/z/d/t"}, "s/a/z/d/t"),
        ("s/a/{rest}", {"rest": "z/d/t"}, "s/a/z/d/t"),
        ("s/a/z/x-{1}/t", {"1": "1"}, "s/a/z/x-1/t"),
    ],
)
def test_templates_fill(text: str, values: dict[str, str], expected: str) -> None:
    assert PointTemplate(text, set(values)).fill(values) == expected
