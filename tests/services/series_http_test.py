"""What an InfluxDB answers that is not 204: which answers speak of the data, and which only of the server."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from core.series.influx import InfluxSettings, InfluxStore
from core.series.port import StoreRefused, StoreUnavailable
from core.telemetry.reading import Reading, Value

AT = datetime(2026, 3, 2, 8, tzinfo=UTC)
POINT = "north/cold/room-1/probe_1/temperature"
Answer = tuple[int, str]


def reading(number: int, value: Value = 4.0) -> Reading:
    return Reading(POINT, AT + timedelta(seconds=number), value, "Cel", AT)


class Influx:
    """A server that answers writes as it is told, line by line of what it is sent, and remembers what it took."""

    def __init__(self) -> None:
        self.judge: Callable[[list[str]], Answer] = lambda _: (204, "")
        self.answers: str = '{"results": []}'
        self.query_status = 200
        self.writes: list[list[str]] = []
        self.taken: list[str] = []
        self.url = ""

    def write(self, lines: list[str]) -> Answer:
        self.writes.append(lines)
        status, text = self.judge(lines)
        if status == 204:
            self.taken += lines
        return status, text


@contextmanager
def serving(influx: Influx) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            if self.headers.get("Content-Encoding") == "gzip":
                import gzip

                body = gzip.decompress(body)
            if self.path.startswith("/query"):
                status, text = influx.query_status, influx.answers
            else:
                status, text = influx.write(body.decode().splitlines())
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    influx.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def influx() -> Iterator[Influx]:
    made = Influx()
    with serving(made):
        yield made


@pytest.fixture
def store(influx: Influx) -> Iterator[InfluxStore]:
    made = InfluxStore(InfluxSettings(url=influx.url, bucket="b", token="t", org="o", chunk=64))
    yield made
    made.close()


def refuse(status: int, which: str) -> Callable[[list[str]], Answer]:
    """Refuses what has such a line in it, whole."""
    said = json.dumps({"code": "unprocessable entity", "message": "field type conflict: value_int"})
    return lambda lines: (status, said) if any(which in line for line in lines) else (204, "")


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_of_data_is_halved_down_to_the_reading(influx: Influx, store: InfluxStore, status: int) -> None:
    influx.judge = refuse(status, "value_int=7i")
    with pytest.raises(StoreRefused) as refusal:
        store.write([reading(n, 7 if n in {7, 40} else float(n)) for n in range(64)])
    assert [(each.reading.at, each.reason) for each in refusal.value.refused] == [
        (reading(n).at, f"InfluxDB: {status} field type conflict: value_int") for n in (7, 40)
    ]
    assert len(influx.taken) == 62
    assert len(influx.writes) <= 2 * 2 * 7  # two halvings, not one write a reading


def test_a_text_in_a_point_of_numbers_costs_nobody_else(influx: Influx, store: InfluxStore) -> None:
    influx.judge = refuse(422, "value_text")
    with pytest.raises(StoreRefused) as refusal:
        store.write([reading(n, "off" if n == 5 else 4.0) for n in range(20)])
    assert [each.reading.value for each in refusal.value.refused] == ["off"]
    assert len(influx.taken) == 19


def test_what_is_too_large_is_split_and_nothing_refused(influx: Influx, store: InfluxStore) -> None:
    influx.judge = lambda lines: (413, "too large") if len(lines) > 5 else (204, "")
    store.write([reading(n) for n in range(100)])
    assert len(influx.taken) == 100


@pytest.mark.parametrize("status", [401, 403, 404, 408, 429, 500, 502, 503, 504])
def test_all_else_is_tried_again_as_it_is(influx: Influx, store: InfluxStore, status: int) -> None:
    influx.judge = lambda _: (status, json.dumps({"message": "come back later"}))
    with pytest.raises(StoreUnavailable, match=f"{status} come back later"):
        store.write([reading(n) for n in range(10)])
    assert len({tuple(lines) for lines in influx.writes}) == 1  # never halved: it is not the data
    influx.judge = lambda _: (204, "")
    store.write([reading(n) for n in range(10)])
    assert len(influx.taken) == 10


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_a_question_that_is_not_answered_is_no_empty_answer(influx: Influx, store: InfluxStore, status: int) -> None:
    influx.query_status, influx.answers = status, '{"error": "no"}'
    asks: tuple[Callable[[], object], ...] = (
        lambda: store.read(POINT, AT, AT + timedelta(hours=1)),
        lambda: store.last([POINT]),
        lambda: store.before(POINT, AT),
        lambda: store.downsample(POINT, AT, AT + timedelta(hours=1), 10),
        lambda: store.count(POINT, AT, AT + timedelta(hours=1)),
    )
    for ask in asks:
        with pytest.raises(StoreUnavailable, match=str(status)):
            ask()


@pytest.mark.parametrize(
    "answer",
    [
        "<html>a proxy says hello</html>",
        "[]",
        "{}",
        '{"results": [{"error": "engine is closed"}]}',
        '{"results": [{"series": [{"columns": ["time"], "values": [[1]], "partial": true}]}]}',
        '{"results": [{"partial": true, "series": [{"columns": ["time"], "values": [[1]]}]}]}',
    ],
)
def test_an_answer_that_is_none_or_cut_short_is_no_answer(influx: Influx, store: InfluxStore, answer: str) -> None:
    influx.answers = answer
    with pytest.raises(StoreUnavailable):
        store.read(POINT, AT, AT + timedelta(hours=1))


def test_a_server_that_hangs_up_or_never_answers(influx: Influx) -> None:
    hasty = InfluxStore(InfluxSettings(url=influx.url, bucket="b", timeout=timedelta(milliseconds=200)))
    late = threading.Event()

    def slow(_: list[str]) -> Answer:
        late.wait(2)
        return 204, ""

    influx.judge = slow
    with pytest.raises(StoreUnavailable):
        hasty.write([reading(0)])
    late.set()
    hasty.close()
