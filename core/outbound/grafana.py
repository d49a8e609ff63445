"""Excursions, holds, decisions and shipments as annotations in Grafana.

Retrying is the outbox's. grafana-api's search by type and its partial update are broken (1.0.3), so these two go by its
raw GET and PATCH.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from grafana_api.grafana_api import GrafanaClientError, GrafanaException
from requests.exceptions import RequestException

from core.erp.kernel.outbox import OutboxMessage, RetryLater
from core.outbound.grafana_client import TIMEOUT, face

TAG = "lotwise"
_DATA_REFUSED = frozenset({400, 413, 422})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class AnnotationRefused(Exception):
    """Grafana will never take this annotation as it is (400, 413, 422); somebody must look at it."""


@contextmanager
def _translated(what: str) -> Any:
    """The library's errors as ours: what may pass (no answer, 401, 403, 404, 429, 5xx) is tried again."""
    try:
        yield
    except GrafanaException as error:
        detail = f"Grafana, {what}: {error.status_code} {error.message}"
        if isinstance(error, GrafanaClientError) and error.status_code in _DATA_REFUSED:
            raise AnnotationRefused(detail) from error
        raise RetryLater(detail) from error
    except RequestException as error:
        raise RetryLater(f"Grafana, {what}: {type(error).__name__}: {error}") from error


class Annotator:
    """Writes one annotation per excursion, hold, decision and shipment, found by its tag: doing it twice is once."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT, verify: bool = True) -> None:
        self._client = face(url, token, timeout=timeout, verify=verify)

    def close(self) -> None:
        """Closes the connections."""
        self._client.api.s.close()

    def excursion_opened(self, message: OutboxMessage) -> None:
        """An annotation from the instant the limit broke; over the whole span if it has ended already."""
        p = message.payload
        start = _time(p.get("broke_at")) or message.at
        stop = _time(p.get("ended_at"))
        text = (
            f"Excursion {message.key}: {p.get('limit_key', 'limit')} broken ({p.get('certainty', 'proven')}), "
            f"sublot {p.get('sublot_id')}, out since {_text(p.get('started_at'))}, known {_text(message.at)}"
        )
        tags = ["excursion", *_tags(p, "certainty", "zone_id", "sublot_id", "incident_id")]
        self._begin(message, f"excursion:{message.key}", start, stop, text, tags)

    def excursion_ended(self, message: OutboxMessage) -> None:
        """Ends the excursion's annotation when it was so, whenever that was learned, which the text says."""
        stop = _time(message.payload.get("ended_at")) or message.at
        text = f"Excursion {message.key} ended {_text(stop)}, known {_text(message.at)}"
        self._end(message, f"excursion:{message.key}", stop, "ended", text)

    def excursion_reopened(self, message: OutboxMessage) -> None:
        """Late data show it goes on: the annotation is a point again until it ends."""
        self._revise(message, None)

    def excursion_revised(self, message: OutboxMessage) -> None:
        """Late data show that it broke or ended at another time: the annotation moves there."""
        self._revise(message, _time(message.payload.get("ended_at")))

    def excursion_superseded(self, message: OutboxMessage) -> None:
        """Later data refute it: the annotation stays where it was and says so."""
        stop = _time(message.payload.get("ended_at")) or message.at
        self._end(
            message,
            f"excursion:{message.key}",
            stop,
            "superseded",
            f"Excursion {message.key}: refuted by later data, known {_text(message.at)}",
        )

    def hold_placed(self, message: OutboxMessage) -> None:
        """An annotation from when the hold was placed."""
        p = message.payload
        about = ", ".join(_tags(p, "lot_id", "sublot_id", "shipment_id")).replace("_id:", " ").replace(":", " ")
        text = f"Hold {message.key} ({p.get('kind')}) on {about}: {p.get('reason')}, since {_text(p.get('since_at'))}"
        tags = ["hold", *_tags(p, "kind", "certainty", "lot_id", "sublot_id", "shipment_id", "excursion_id")]
        self._begin(message, f"hold:{message.key}", _time(p.get("placed_at")) or message.at, None, text, tags)

    def hold_lifted(self, message: OutboxMessage) -> None:
        """Ends the hold's annotation at its lifting, with the reason."""
        text = f"Hold {message.key} lifted: {message.payload.get('reason')}"
        self._end(message, f"hold:{message.key}", message.at, "lifted", text)

    def disposition_signed(self, message: OutboxMessage) -> None:
        """An annotation at the signature: what was decided of the excursion, and why."""
        p = message.payload
        text = f"Excursion {message.key} decided: {p.get('decision')}, {p.get('reason')}"
        tags = ["disposition", f"decision:{p.get('decision')}", *_tags(p, "sublot_id")]
        self._begin(message, f"disposition:{message.key}", message.at, message.at, text, tags)

    def shipment_left(self, message: OutboxMessage) -> None:
        """An annotation from a shipment's dispatch, or from its departure where it was not dispatched."""
        p = message.payload
        at = _time(p.get("at")) or message.at
        self._begin(
            message, f"shipment:{message.key}", at, None, f"{_shipment(message)} left {_text(at)}", ["shipment"]
        )

    def shipment_arrived(self, message: OutboxMessage) -> None:
        """Ends the shipment's annotation when it arrived, whenever that was learned."""
        at = _time(message.payload.get("at")) or message.at
        self._end(message, f"shipment:{message.key}", at, "ended", f"{_shipment(message)} arrived {_text(at)}")

    def shipment_settled(self, message: OutboxMessage) -> None:
        """Says of a shipment's annotation what became of it: accepted, refused or cancelled."""
        found = self._find(f"shipment:{message.key}")
        stop = _end_of(found) or message.at  # it stays as long as the journey was
        self._end(message, f"shipment:{message.key}", stop, str(message.payload.get("to")), _settled(message))

    def _find(self, key: str) -> dict[str, Any] | None:
        """Our annotation of that key, if it is there (the oldest, should there be two)."""
        query = urlencode([("tags", TAG), ("tags", key), ("type", "annotation"), ("limit", "10")])
        with _translated(f"searching {key}"):
            found = self._client.api.GET(f"/annotations?{query}")
        if not isinstance(found, list):
            raise RetryLater(f"Grafana, searching {key}: no list of annotations")
        ours = [row for row in found if {TAG, key} <= set(row.get("tags") or ())]
        return min(ours, key=lambda row: int(row["id"]), default=None)

    def _begin(
        self, message: OutboxMessage, key: str, start: datetime, stop: datetime | None, text: str, tags: Sequence[str]
    ) -> None:
        """Creates the annotation, or completes one that something later, handled before its beginning, has created."""
        found = self._find(key)
        if found is None:
            marks = [*tags, "begun", *(["ended"] if stop else []), _seen(message)]
            self._create(key, start, stop or start, text, marks)
            return
        if "begun" in found["tags"]:
            return
        # what came later and was handled first knew when an excursion broke; a hold's lifting does not say its placing
        begin = int(found["time"]) if key.startswith("excursion:") else _ms(start)
        end = max(int(found.get("timeEnd") or 0), begin)
        merged = list(dict.fromkeys([*found["tags"], *tags, "begun"]))
        self._patch(found, {"time": begin, "timeEnd": end, "text": f"{text}. {found['text']}", "tags": merged})

    def _end(self, message: OutboxMessage, key: str, stop: datetime, mark: str, text: str) -> None:
        """Ends the annotation; one that does not exist yet is created, so that no order of handling loses it."""
        found = self._find(key)
        if found is None:
            start = _time(message.payload.get("broke_at")) or stop
            self._create(key, start, max(start, stop), text, [key.partition(":")[0], mark, _seen(message)])
            return
        if message.id <= _last_seen(found):
            return
        end = max(_ms(stop), int(found["time"]))
        tags = [*_without(found["tags"], mark), mark, _seen(message)]
        self._patch(found, {"timeEnd": end, "text": f"{found['text']}. {text}", "tags": tags})

    def _revise(self, message: OutboxMessage, stop: datetime | None) -> None:
        """Puts an excursion's annotation where the data now say, unless a later message has been there already."""
        key, start = f"excursion:{message.key}", _time(message.payload.get("broke_at"))
        found = self._find(key)
        ended = ["ended"] if stop else []
        if found is None:
            begin = start or message.at
            self._create(key, begin, stop or begin, f"Excursion {message.key}", ["excursion", *ended, _seen(message)])
            return
        if message.id <= _last_seen(found):
            return
        begin_ms = _ms(start) if start else int(found["time"])
        tags = [*_without(found["tags"], "ended"), *ended, _seen(message)]
        self._patch(found, {"time": begin_ms, "timeEnd": _ms(stop) if stop else begin_ms, "tags": tags})

    def _create(self, key: str, start: datetime, stop: datetime, text: str, tags: Sequence[str]) -> None:
        """Two cores may tell of one thing at the same instant, and neither finds the other's: the younger withdraws.

        Grafana knows no unique tag and no condition on a write, and no lock of ours is held across a call to it.
        """
        with _translated(f"annotating {key}"):
            made = self._client.annotations.add_annotation(
                time_from=_ms(start), time_to=_ms(stop), tags=[TAG, key, *tags], text=text
            )
        oldest = self._find(key)
        if oldest is None or int(oldest["id"]) >= int(made["id"]):
            return
        with _translated(f"withdrawing annotation {made['id']}"):
            self._client.annotations.delete_annotations_by_id(made["id"])
        raise RetryLater(f"annotation {oldest['id']} of {key} was there first: it is completed instead")

    def _patch(self, found: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
        with _translated(f"changing annotation {found['id']}"):
            self._client.api.PATCH(f"/annotations/{int(found['id'])}", json=dict(changes))


SEEN = "outbox:"
"""The tag that names the last outbox row which moved an annotation: an older one, handled later, does not."""


def _seen(message: OutboxMessage) -> str:
    return f"{SEEN}{message.id}"


def _last_seen(found: Mapping[str, Any]) -> int:
    return max((int(tag.removeprefix(SEEN)) for tag in found["tags"] if tag.startswith(SEEN)), default=0)


def _without(tags: Sequence[str], mark: str) -> list[str]:
    return [tag for tag in tags if tag != mark and not tag.startswith(SEEN)]


def handlers(annotator: Annotator) -> dict[str, Callable[[OutboxMessage], None]]:
    """What is done on which topic."""
    return {
        "excursion.opened": annotator.excursion_opened,
        "excursion.end": annotator.excursion_ended,
        "excursion.reopen": annotator.excursion_reopened,
        "excursion.revised": annotator.excursion_revised,
        "excursion.supersede": annotator.excursion_superseded,
        "hold.placed": annotator.hold_placed,
        "hold.lifted": annotator.hold_lifted,
        "disposition.signed": annotator.disposition_signed,
        "shipment.dispatch": annotator.shipment_left,
        "shipment.depart": annotator.shipment_left,
        "shipment.arrive": annotator.shipment_arrived,
        "shipment.accept": annotator.shipment_settled,
        "shipment.refuse": annotator.shipment_settled,
    }


def _shipment(message: OutboxMessage) -> str:
    return f"Shipment {message.payload.get('code') or message.key}"


def _settled(message: OutboxMessage) -> str:
    return f"Shipment {message.key} {message.payload.get('to')} {_text(message.at)}"


def _end_of(found: Mapping[str, Any] | None) -> datetime | None:
    """When an annotation that has ended did."""
    if found is None or "ended" not in found["tags"]:
        return None
    return _EPOCH + timedelta(milliseconds=int(found["timeEnd"]))


def _ms(moment: datetime) -> int:
    return int((moment - _EPOCH).total_seconds() * 1000)


def _time(value: object) -> datetime | None:
    """A payload's time (ISO 8601 with offset), None where there is none. Raises ValueError for a naive one."""
    if value is None:
        return None
    moment = datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError(f"naive time {value!r} in an outbox payload")
    return moment


def _text(value: object) -> str:
    moment = value if isinstance(value, datetime) else _time(value)
    return "unknown" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def _tags(payload: Mapping[str, Any], *names: str) -> list[str]:
    return [f"{name}:{payload[name]}" for name in names if payload.get(name) is not None]
