"""What goods went through, as the judge has it: when which limit was out, proven, uncertain and in the worst case."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from core.erp.exposure.history.exposure_history import ExposureHistory
from core.erp.exposure.history.monitoring_zone import ZoneInterval
from core.erp.exposure.readings.zone_setup import JudgedPoint, ZoneSetup
from core.erp.exposure.rules import runs as r
from core.erp.exposure.rules.profile import Limit, Profile
from core.erp.exposure.rules.runs import Runs
from core.erp.exposure.times import micros, moment
from core.erp.kernel.unit import Unit
from core.web.charts.axis import INSTANT, Window
from core.web.charts.curves import Stretch, declared, ms
from core.web.charts.document import Curve, Interval, SpanKind
from core.web.frame.templating import Words


@dataclass(frozen=True, slots=True)
class OutRuns:
    """When goods were out, each instant by the surest of what is known of it; microseconds, in order."""

    proven: Runs
    uncertain: Runs
    unproven: Runs

    def kinds(self) -> tuple[tuple[SpanKind, Runs], ...]:
        """The runs by how sure they are."""
        return (("proven", self.proven), ("uncertain", self.uncertain), ("unproven", self.unproven))

    def within(self, start: datetime, stop: datetime) -> "OutRuns":
        """What lies in [start, stop)."""
        a, b = micros(start), micros(stop)
        return OutRuns(*(r.clip(runs, a, b) for _, runs in self.kinds()))


class GoodsHistory:
    """The history of one sublot under one profile version, read once."""

    def __init__(self, u: Unit, sublot_id: int, version_id: int) -> None:
        self._history = ExposureHistory(u.conn, u.now)
        self._history.verdicts({version_id: [sublot_id]})
        self._version, self._paths = version_id, self._history.paths[sublot_id]
        self.now = u.now
        self.profile: Profile = self._history.profile(version_id)

    def stays(self) -> list[ZoneInterval]:
        """Which zones judged the goods, on whichever way they came; in order."""
        return sorted({stay for path in self._paths for stay in path}, key=lambda stay: (stay[1], stay[0]))

    def span(self) -> tuple[datetime, datetime]:
        """From when to when there is a history: until now, for goods that are here."""
        stays, end = self.stays(), self.now + INSTANT
        if not stays:
            return self.now, end
        return moment(stays[0][1]), max(end if stop is None else min(moment(stop), end) for _, _, stop in stays)

    def out(self, limits: Iterable[Limit]) -> OutRuns:
        """When any of the limits was out. On several ways, what was so on any of them."""
        keys = [limit.key for limit in limits]

        def of(pick: str) -> Runs:
            return r.union(
                getattr(part.seen[key], pick)
                for path in self._paths
                for part in self._history.slices(path, self._version)
                for key in keys
                if key in part.seen
            )

        proven, uncertain, worst = of("proven"), of("uncertain"), of("worst")
        return OutRuns(proven, r.without(uncertain, proven), r.without(worst, r.union([proven, uncertain])))

    def stretches(self, words: Words, quantity: str, shown: Window) -> tuple[list[Stretch], list[Curve]]:
        """The points that spoke for the goods in the window, each while they stood there; and what zones that nobody
        measures declare.
        """
        measured: list[Stretch] = []
        said: list[Curve] = []
        stays = [(stay[0], *part) for stay in self.stays() if (part := self._within(stay, shown)) is not None]
        several = len({zone for zone, _, _ in stays}) > 1
        for zone, start, stop in stays:
            setup = self._history.setup(zone)
            known_to = moment(self._history.watermark(zone))
            name = setup.address.rpartition("/")[2]
            for point in points_of(setup, quantity):
                label = point_label(words, point.address, required=point.required)
                label = f"{label} · {name}" if several else label
                gap = timedelta(microseconds=self.profile.allowed_gap)
                measured.append(Stretch(point, label, start, stop, gap, known_to))
            if not setup.points and setup.worst_temperature is not None and quantity == "temperature":
                label = words.t("web.chart_declared", zone=name)
                said.append(declared(setup.address, setup.worst_temperature, start, stop, label))
        return measured, said

    def _within(self, stay: ZoneInterval, shown: Window) -> tuple[datetime, datetime] | None:
        _, begin, end = stay
        stop = min(shown.stop, self.now + INSTANT, *(() if end is None else (moment(end),)))
        start = max(moment(begin), shown.start)
        return (start, stop) if start < stop else None


def points_of(setup: ZoneSetup, quantity: str) -> list[JudgedPoint]:
    """The zone's points of a quantity, required ones first: the first of them is drawn strongest."""
    return sorted((point for point in setup.points if point.quantity == quantity), key=lambda point: not point.required)


def point_label(words: Words, address: str, *, required: bool) -> str:
    """What a point is called on a chart: its device, and whether it only stands in."""
    device = address.split("/")[-2]
    return device if required else words.t("web.chart_spare", point=device)


def bars(kind: SpanKind, runs: Sequence[tuple[int, int]]) -> list[Interval]:
    """Runs as bars."""
    return [Interval(start=ms(a), stop=max(ms(b), ms(a) + 1), kind=kind, label="", href=None) for a, b in runs]
