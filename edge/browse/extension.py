"""Puts what was found into the sources of a gateway file that is there. What the file says already stays as it is."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from edge.collectors.modbus_config import parse_notation
from edge.collectors.mqtt_topics import TopicFilter


@dataclass(slots=True)
class Extension:
    """What came of it: addresses of points that are new, and what was left as it is."""

    added: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def extend(sources: Any, found: Any) -> Extension:
    """Adds a source, or to the source of the same protocol and address what it does not read yet."""
    done = Extension()
    theirs = next((source for source in sources if where(source) == where(found)), None)
    if theirs is None:
        names = {source.get("name") for source in sources if isinstance(source, Mapping)}
        found["name"] = free(str(found["name"]), names)
        sources.append(found)
        done.added += addresses(found)
        return done
    taken = set(addresses(theirs))
    {"mqtt": _subscriptions, "modbus": _units, "opcua": _nodes}[found["protocol"]](theirs, found, taken, done)
    return done


def _add(rules: Any, rule: Any, comment: Any, taken: set[str], done: Extension) -> None:
    rule["point"] = free(rule["point"], taken)
    taken.add(rule["point"])
    rules.append(rule)
    if comment is not None:
        rules.ca.items[len(rules) - 1] = comment
    done.added.append(rule["point"])


def _subscriptions(theirs: Any, found: Any, taken: set[str], done: Extension) -> None:
    there = {str(one["topic"]): one for one in theirs["subscriptions"]}
    for new in found["subscriptions"]:
        old = there.get(new["topic"])
        if old is None:
            meets = [topic for topic in there if TopicFilter(topic).overlaps(TopicFilter(new["topic"]))]
            if meets:
                done.notes.append(f"{new['topic']} is taken by {meets[0]!r} already: left as it is")
                continue
            fresh = [one for one in new["points"] if one["point"] in taken]
            for rule in fresh:
                rule["point"] = free(rule["point"], taken)
            taken.update(one["point"] for one in new["points"])
            theirs["subscriptions"].append(new)
            done.added += [one["point"] for one in new["points"]]
        elif "points" not in old:
            continue  # its one point takes every field
        elif _decoder(old) != _decoder(new):
            done.notes.append(f"{new['topic']} is read otherwise already: left as it is")
        else:
            known = {(one.get("device"), one.get("sensor"), one["field"]) for one in old["points"]}
            for at, rule in enumerate(new["points"]):
                sensor, field_name = rule.get("sensor"), rule["field"]
                takes = {(device, sensor, field_name) for device in (rule.get("device"), None)} | {(None, None, "*")}
                if known.isdisjoint(takes):
                    _add(old["points"], rule, new["points"].ca.items.get(at), taken, done)


def _decoder(subscription: Any) -> dict[str, Any]:
    decoder = subscription["decoder"]
    return {"name": decoder} if isinstance(decoder, str) else dict(decoder)


def _units(theirs: Any, found: Any, taken: set[str], done: Extension) -> None:
    for new in found["units"]:
        alike = [one for one in theirs["units"] if one["id"] == new["id"]]
        known = {_cell(point) for one in alike for point in one["points"]}
        fresh = [(at, point) for at, point in enumerate(new["points"]) if _cell(point) not in known]
        if alike:
            for at, point in fresh:
                _add(alike[0]["points"], point, new["points"].ca.items.get(at), taken, done)
        else:
            for _, point in fresh:
                point["point"] = free(point["point"], taken)
                taken.add(point["point"])
            theirs["units"].append(new)
            done.added += addresses(new)


def _cell(point: Any) -> tuple[str, int, object]:
    """Table, 0-based address and bit of a point, however the file writes them."""
    table, address = point.get("table"), point["address"]
    if isinstance(address, str):
        table, address = parse_notation(address)
    return str(table), int(address), point.get("bit")


def _nodes(theirs: Any, found: Any, taken: set[str], done: Extension) -> None:
    known = {(one["node"], one.get("index")) for one in theirs["nodes"]}
    for at, node in enumerate(found["nodes"]):
        if (node["node"], node.get("index")) not in known:
            _add(theirs["nodes"], node, found["nodes"].ca.items.get(at), taken, done)


def free(name: str, taken: Collection[Any]) -> str:
    """The name, with a number where it is taken."""
    made, number = name, 2
    while made in taken:
        made = f"{name}-{number}"
        number += 1
    return made


def addresses(data: Any) -> Iterator[str]:
    """Every point that a part of a gateway file names."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "point" and isinstance(value, str):
                yield value
            else:
                yield from addresses(value)
    elif isinstance(data, list):
        for value in data:
            yield from addresses(value)


def where(source: Mapping[str, Any]) -> object:
    """What two sources that read the same thing have in common: protocol and address."""
    protocol = source.get("protocol")
    if protocol == "mqtt":
        return protocol, source.get("host"), source.get("port", 8883 if source.get("tls") else 1883)
    if protocol == "modbus":
        transport = source.get("transport") or {}
        return protocol, transport.get("host"), transport.get("port", 502)
    return protocol, source.get("endpoint") or source.get("name")
