"""Reads the text reports of Berlinger's Fridge-tag and Q-tag loggers.

The frame (indented keys, tables) is read first and keeps everything; the typed report is taken from it by name, so
that another order of keys, a missing section or a key never seen before harms nothing. What is in doubt is said.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from pathlib import Path

from core.telemetry.message import Message
from core.telemetry.readers import limits as limit_rules
from core.telemetry.readers.completeness import Claim, day_doubts, end_doubts, mark_doubts, section_doubts, time_doubts
from core.telemetry.readers.log import read_log
from core.telemetry.readers.report import (
    CELSIUS,
    FAHRENHEIT,
    DayAlarm,
    DeviceDay,
    DeviceEvent,
    Report,
    Totals,
)
from core.telemetry.readers.signature import Authenticity, authenticity_of
from core.telemetry.readers.text import SIMULATED, BadFile, lines_of, of_key, parse_time, read_text
from core.telemetry.readers.tree import Node, parse_tree
from core.telemetry.readers.values import Values

_TABLES = frozenset({"data", "marker"})


def read_fridgetag(path: Path, zone: tzinfo | None = None) -> Report:
    """The report in a file; `zone` is what the device's clock was set to (None: UTC is assumed, and said).

    Raises BadFile when it is no such report.
    """
    return parse_fridgetag(read_text(path), zone)


def parse_fridgetag(text: str, zone: tzinfo | None = None) -> Report:
    """The report in a text. Raises BadFile (with the line) when the text is no Fridge-tag or Q-tag report.

    A report that is cut short or has unreadable lines is returned as far as it goes; `damaged` is then true and
    `doubts` names the lines.
    """
    lines = lines_of(text)
    root, doubts = parse_tree(lines, _TABLES)
    if root.get("Device") is None or (
        root.get("Conf") is None and root.get("Hist") is None and root.get("Data") is None
    ):
        first = next((number for number, line in enumerate(lines, start=1) if line.strip()), 1)
        raise BadFile(Message("telemetry.no_report"), first)
    if len(root.all("Device")) > 1:
        raise BadFile(Message("telemetry.second_report"), root.all("Device")[1].line)
    return _Parser(root, lines, Values(zone, doubts)).report()


@dataclass(slots=True)
class _Parser:
    """One parse: the tree, the lines, and the reader of its values with the doubts met so far."""

    root: Node
    lines: list[str]
    values: Values

    def report(self) -> Report:
        """Everything, in the order in which one part needs another."""
        root = self.root
        data = root.get("Data")
        self.values.learn_formats(data, self.lines)
        count = len(self.values.doubts)
        begun = self._activated()
        del self.values.doubts[count:]
        self.values.fix_clock(begun, root.text("Conf", "Zone"))
        unit = self._unit()
        log = read_log(root.all("Data"), self.values)
        columns, samples = log.columns, log.samples
        judged = log.judged(external=root.text("Conf", "Use ext devices") not in (None, "0"))
        limits, doubts = limit_rules.limits_of(root, unit)
        self.values.doubts += doubts
        limits = limit_rules.by_marks(limits, samples, judged)
        interval = self.values.minutes(root.get("Conf", "Logging Interval"))
        record = root.get("Hist") or root.get("Res")
        ends = {key: self.values.when(record.get(key) if record else None) for key in ("TS Report Creation", "TS Stop")}
        created = ends["TS Report Creation"] or ends["TS Stop"]
        days = tuple(self._days(root.get("Hist")))
        events = tuple(self._events(root.get("Res", "Alarm")))
        claim = Claim(begun, created, interval)
        authenticity = authenticity_of(self.lines)
        if authenticity is Authenticity.ALTERED:
            line = root.all("Sig")[-1].line if root.all("Sig") else 0
            self.values.doubt(line, "altered", Message("telemetry.signature_unfit"))
        simulated = SIMULATED in (root.text("Device") or "")
        if simulated:
            self.values.doubt(1, "simulated", Message("telemetry.simulated"))
        self.values.doubts += section_doubts(root)
        self.values.doubts += end_doubts(root, self.lines, samples, days, claim)
        self.values.doubts += time_doubts(samples, created)
        self.values.doubts += day_doubts(days)
        self.values.doubts += mark_doubts(samples, judged, limits)
        marker, conf = root.get("Marker"), root.get("Conf")
        plain = conf.as_json() if conf else {}
        return Report(
            device=root.text("Device") or "",
            serial=root.text("Conf", "Serial") or "",
            firmware=root.text("Fw Vers") or "",
            format_version=root.text("Vers") or "",
            unit=unit,
            configuration=plain if isinstance(plain, dict) else {},
            interval=interval,
            measurement_delay=self.values.minutes(root.get("Conf", "Measurement delay")) or timedelta(0),
            activation_energy=self.values.value(root.get("Conf", "MKT Energy")),
            limits=limits,
            activated=self._activated(),
            created=created,
            days=days,
            events=events,
            totals=self._totals(root.get("Res")),
            columns=columns,
            judged_column=judged,
            samples=samples,
            markers=tuple(text.strip() for _, text in marker.rows[1:]) if marker else (),
            certificate=self._verbatim("Cert"),
            signature="\n".join(
                f"{node.key}: {node.value}" for node in root.children if node.key in ("Sig Cert", "Sig")
            ),
            authenticity=authenticity,
            clock=self.values.clock,
            doubts=tuple(sorted(self.values.doubts, key=lambda doubt: doubt.line)),
            lines=len(self.lines),
            simulated=simulated,
        )

    def _activated(self) -> datetime | None:
        record = self.root.get("Hist") or self.root.get("Res")
        if record is None:
            return None
        return self.values.when(record.get("TS Start")) or self.values.when(record.get("TS Actv"))

    def _unit(self) -> str:
        node = self.root.get("Conf", "Temp unit")
        word = node.value.strip().lstrip("°").upper() if node else "C"
        if word not in ("C", "F", "CELSIUS", "FAHRENHEIT"):
            said = Message("telemetry.temperature_unit", text=word)
            self.values.doubt(node.line if node else 0, "malformed", said, damage=True)
        return FAHRENHEIT if word.startswith("F") else CELSIUS

    # -- the device's own record -------------------------------------------------------------------------------

    def _days(self, record: Node | None) -> Iterable[DeviceDay]:
        for node in record.children if record else ():
            stamp = node.get("Date")
            if stamp is None:
                continue
            try:
                day = parse_time(stamp.value, self.values.dates).date()
            except ValueError as error:
                self.values.doubt(stamp.line, "malformed", of_key("Date", error), damage=True)
                continue
            alarms = node.get("Alarm")
            timeouts = {
                child.key.lower().removesuffix(" sensor timeout"): self.values.whole(child.get("t AccST")) or 0
                for child in node.children
                if child.key.lower().endswith("sensor timeout")
            }
            checked = node.get("Checked")
            yield DeviceDay(
                day=day,
                lowest=self.values.value(node.get("Min T")),
                highest=self.values.value(node.get("Max T")),
                average=self.values.value(node.get("Avrg T")),
                lowest_at=self.values.when(node.get("TS Min T"), day),
                highest_at=self.values.when(node.get("TS Max T"), day),
                alarms=tuple(self._day_alarm(alarm, day) for alarm in (alarms.children if alarms else ())),
                timeouts=timeouts,
                events=self.values.whole(node.get("Events")),
                checked=tuple(f"{child.key} {child.value}".strip() for child in (checked.children if checked else ())),
                line=node.line,
            )

    def _day_alarm(self, node: Node, day: date) -> DayAlarm:
        return DayAlarm(
            limit=node.key,
            minutes=self.values.whole(node.get("t Acc")),
            at=self.values.when(node.get("TS A"), day),
            c_a=self.values.whole(node.get("C A")),
            ambient=self.values.value(node.get("T Amb")),
            line=node.line,
        )

    def _events(self, alarms: Node | None) -> Iterable[DeviceEvent]:
        for limit in alarms.children if alarms else ():
            for group in limit.lines():
                event = Node("", "", group[0].line, children=group)
                yield DeviceEvent(
                    limit=limit.key,
                    at=self.values.when(event.get("TS A")),
                    start=self.values.when(event.get("TS S")),
                    stop=self.values.when(event.get("TS E")),
                    minutes=self.values.whole(event.get("t A")),
                    extreme=self.values.value(event.get("T M")),
                    line=event.line,
                )

    def _totals(self, record: Node | None) -> Totals | None:
        if record is None:
            return None
        names = ("Min T", "Max T", "Avrg T", "MKT")
        return Totals(*(self.values.value(record.get(name)) for name in names))

    def _verbatim(self, key: str) -> str:
        """A section's lines as they stand in the file."""
        node = self.root.get(key)
        if node is None:
            return ""
        out = [self.lines[node.line - 1]]
        for line in self.lines[node.line :]:
            if line.strip() and not line[0].isspace():
                break
            out.append(line)
        return "\n".join(out).rstrip()
