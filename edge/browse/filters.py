"""Which topics are one subscription: those of a dialect, and plain ones of one shape; and no two of them overlap."""

import json
from collections import defaultdict
from dataclasses import dataclass, field, replace

from edge.browse.dialects import TopicDialect
from edge.browse.mqtt_listen import Topic
from edge.collectors.mqtt_topics import TopicFilter


@dataclass(slots=True)
class Group:
    """One subscription in the making: topics that one filter and one decoder take."""

    speech: TopicDialect
    topics: list[Topic] = field(default_factory=list)


def joined(groups: list[Group]) -> list[Group]:
    """Plain topics of one shape that differ in one level are one subscription, in which that level is the device."""
    by_shape: defaultdict[str, list[Group]] = defaultdict(list)
    for group in groups:
        plain = group.speech.dialect.startswith("plain") or group.speech.dialect == "shelly_gen1"
        key = json.dumps(group.speech.decoder, sort_keys=True) if plain else group.speech.filter
        shape = [key, group.speech.dialect, repr(sorted(group.speech.measures.items())), group.speech.filter.count("/")]
        by_shape[json.dumps(shape)].append(group)
    out: list[Group] = []
    for alike in by_shape.values():
        out += _by_one_level(alike) if len(alike) > 1 else alike
    return out


def _by_one_level(groups: list[Group]) -> list[Group]:
    """Joins those whose topics differ in one level only; the last level is no device where it names a bare value."""
    rest, out = list(groups), []
    levels = len(groups[0].speech.filter.split("/"))
    bare = bool(groups[0].speech.name)
    for level in reversed(range(levels - 1 if bare and levels > 1 else levels)):
        families: defaultdict[tuple[str, ...], list[Group]] = defaultdict(list)
        for group in rest:
            parts = group.speech.filter.split("/")
            families[tuple("{device}" if at == level else part for at, part in enumerate(parts))].append(group)
        for form, family in families.items():
            if len(family) > 1 and form.count("{device}") == 1:
                speech = replace(family[0].speech, filter="/".join(form))
                out.append(Group(speech, [topic for group in family for topic in group.topics]))
                rest = [group for group in rest if group not in family]
    return out + rest


def without_overlaps(groups: list[Group]) -> list[Group]:
    """A broker may deliver a message once for each filter that takes it, so no two filters may: where two would, the
    topics that were heard are named one by one.
    """
    filters = [TopicFilter(group.speech.filter) for group in groups]
    out: list[Group] = []
    for at, group in enumerate(groups):
        meets = any(filters[at].overlaps(other) for n, other in enumerate(filters) if n != at)
        if not meets:
            out.append(group)
            continue
        alone = (replace(group.speech, filter=topic.name, companions=()) for topic in group.topics)
        out += [Group(speech, [topic]) for speech, topic in zip(alone, group.topics, strict=True)]
    return out
