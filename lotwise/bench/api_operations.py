"""What `bench api` asks: the commonest reads and acts, as requests over the wire."""

import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import httpx
import msgspec
import numpy as np

from lotwise.bench.distributor import MADE_OVER, PASSWORD, Books

READS = 1000
"""Different requests of one kind, asked in turn."""
Dice = np.random.Generator
Act = tuple[str, dict[str, Any]]
"""Path and body of something that is done once."""


@dataclass(frozen=True, slots=True)
class Operation:
    """What is asked: the paths of reads, drawn one by one, or acts; neither: signing in."""

    what: str
    read: Callable[[Books, Dice], str] | None = None
    acts: Callable[[Books], Iterator[Act]] | None = None
    status: int = HTTPStatus.OK


def _query(path: str, **parameters: Any) -> str:
    return f"{path}?{urlencode(parameters)}"


def _newest_of(path: str, state: str) -> Callable[[Books, Dice], str]:
    """A list of 100 in that state made before some day, newest first."""

    def read(_: Books, dice: Dice) -> str:
        before = datetime.now(UTC) - MADE_OVER * dice.random() * 0.9
        return _query(path, state=state, created_at_before=before.isoformat(), sort="-created_at", limit=100)

    return read


def _lots(_: Books, dice: Dice) -> str:
    return _query("/lots", sort=dice.choice(("number", "-number", "id", "-id")), limit=100)


def _search(_: Books, dice: Dice) -> str:
    return _query("/sublots", search=f"bbl{dice.integers(100, 1000)}", limit=20)


def _one_of(path: str, ids: Callable[[Books], Sequence[int]]) -> Callable[[Books, Dice], str]:
    return lambda books, dice: f"{path}/{ids(books)[int(dice.integers(len(ids(books))))]}"


def _reserve(goods: Callable[[Books], Sequence[int]]) -> Callable[[Books], Iterator[Act]]:
    def acts(books: Books) -> Iterator[Act]:
        for number, sublot in enumerate(itertools.cycle(goods(books))):
            yield f"/sublots/{sublot}/reserve", {"amount": "0.001", "purpose": "sale", "reference": f"order:{number}"}

    return acts


def _pick(books: Books) -> Iterator[Act]:
    for reservation in books.reservations:
        yield f"/reservations/{reservation}/pick", {}


OPERATIONS = {
    "sublots": Operation(
        "a list of 100 released sublots made before some day, newest first", _newest_of("/sublots", "released")
    ),
    "lots": Operation("a list of 100 lots by number or age, either way", _lots),
    "shipments": Operation(
        "a list of 100 planned shipments made before some day, newest first", _newest_of("/shipments", "planned")
    ),
    "sublot": Operation("one sublot", _one_of("/sublots", lambda books: books.sublots)),
    "shipment": Operation(
        "one shipment with lines, legs and holds", _one_of("/shipments", lambda books: books.shipments)
    ),
    "lot": Operation("one lot", _one_of("/lots", lambda books: books.lots)),
    "search": Operation("the first 20 sublots whose code begins with six characters", _search),
    "reserve": Operation(
        "a reservation with an idempotency key, of one sublot after the other",
        acts=_reserve(lambda books: books.free),
        status=HTTPStatus.CREATED,
    ),
    "reserve_same": Operation(
        "a reservation with an idempotency key, all of the same sublot",
        acts=_reserve(lambda books: (books.most_wanted,)),
        status=HTTPStatus.CREATED,
    ),
    "pick": Operation("a reservation picked, with an idempotency key, of one sublot after the other", acts=_pick),
    "token": Operation("signing in with a password, 32 people in turn"),
}


class Asking:
    """Makes requests as they go over the wire, in the names of people who are signed in."""

    def __init__(self, port: int, logins: Sequence[str]) -> None:
        self._host, self._logins = f"127.0.0.1:{port}", logins
        url = f"http://{self._host}/api/v1/token"
        with httpx.Client(timeout=60) as client:
            self._tokens = [
                client.post(url, data={"username": login, "password": PASSWORD})
                .raise_for_status()
                .json()["access_token"]
                for login in logins
            ]

    def reads(self, paths: Iterable[str]) -> list[str]:
        """Requests that may be asked again and again."""
        return [
            self._request("GET", path, token=token)
            for path, token in zip(paths, itertools.cycle(self._tokens), strict=False)
        ]

    def acts(self, acts: Iterator[Act], count: int) -> list[str]:
        """Requests that post once."""
        tokens, kind = itertools.cycle(self._tokens), "application/json"
        return [
            self._request("POST", path, kind, msgspec.json.encode(body).decode(), next(tokens))
            for path, body in itertools.islice(acts, count)
        ]

    def sign_ins(self) -> list[str]:
        """One of each person."""
        form = [urlencode({"username": login, "password": PASSWORD}) for login in self._logins]
        return [self._request("POST", "/token", "application/x-www-form-urlencoded", one) for one in form]

    def _request(self, method: str, path: str, kind: str = "", body: str = "", token: str = "") -> str:
        headers = {"Host": self._host}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if kind:
            headers |= {"Content-Type": kind, "Content-Length": str(len(body))}
        if token and kind:
            headers["Idempotency-Key"] = uuid.uuid4().hex
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{method} /api/v1{path} HTTP/1.1\r\n{lines}\r\n{body}"
