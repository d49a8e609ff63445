"""The goods of the soak, posted through the public API by people who do not give up: same key until it is answered."""

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from lotwise.torture.plan import Goods

REQUEST_TIMEOUT = 300.0
"""Seconds after which a request that is never answered fails the soak."""
PASSWORD = "torture-only-Lotwise-1"  # noqa: S105 - it exists in the soak's own database only
PEOPLE = {"engineer": "plant_engineer", "qa": "qa", "warehouse": "warehouse", "admin": "admin"}


class Unanswered(Exception):
    """The core refused what it must take, or did not answer in time; the text says what."""


@dataclass(slots=True)
class PlacedGoods:
    """A sublot that was posted: its id, and (zone, since, microseconds; when the core had it) of each of its places."""

    goods: Goods
    sublot_id: int = 0
    moves: list[tuple[str, int, int]] = field(default_factory=list)


class Caller:
    """The public API, called again and again until it answers: servers are killed while it does its work."""

    def __init__(self, base_url: str) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, timeout=20)
        self._tokens: dict[str, str] = {}
        self.posts = 0
        self.retries = 0
        self._signing_in = asyncio.Lock()

    async def close(self) -> None:
        """Ends its connections."""
        await self._http.aclose()

    async def post(self, who: str, path: str, body: dict[str, Any], key: str | None = None) -> Any:
        """What a POST is answered. Raises Unanswered."""
        self.posts += 1
        return await self._ask(who, "POST", path, json=body, key=key or f"{self.posts}:{path}")

    async def get(self, path: str, **params: Any) -> Any:
        """What a GET is answered, asked as QA. Raises Unanswered."""
        return await self._ask("qa", "GET", path, params=params)

    async def all(self, path: str, **params: Any) -> list[Any]:
        """Every item of a paged list."""
        items: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await self.get(path, limit=500, **params, **cursor)
            items += page["items"]
            if page["next"] is None:
                return items
            cursor = {"cursor": page["next"]}

    async def _ask(self, who: str, method: str, path: str, *, key: str | None = None, **more: Any) -> Any:
        deadline = time.monotonic() + REQUEST_TIMEOUT
        problem = ""
        while time.monotonic() < deadline:
            try:
                token = await self._token(who)
                headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key else {})
                answer = await self._http.request(method, f"/api/v1{path}", headers=headers, **more)
            except httpx.HTTPError as error:
                problem = repr(error)
            else:
                if answer.is_success:
                    return answer.json()
                problem = f"{answer.status_code} {answer.text}"
                if answer.status_code == httpx.codes.UNAUTHORIZED:
                    self._tokens.pop(who, None)
                elif answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR:
                    raise Unanswered(f"{method} {path} of {who}: {problem}")
            self.retries += 1
            await asyncio.sleep(0.2)
        raise Unanswered(f"{method} {path} of {who}: no answer in {REQUEST_TIMEOUT:.0f} s; last {problem}")

    async def _token(self, who: str) -> str:
        async with self._signing_in:
            if who not in self._tokens:
                answer = await self._http.post("/api/v1/token", data={"username": who, "password": PASSWORD})
                answer.raise_for_status()
                self._tokens[who] = answer.json()["access_token"]
            return self._tokens[who]


@dataclass(slots=True)
class Catalog:
    """Ids by name, as the API gave them."""

    zones: dict[str, int] = field(default_factory=dict)
    items: dict[str, int] = field(default_factory=dict)


async def work(caller: Caller, catalog: Catalog, goods: list[Goods], began: float) -> list[PlacedGoods]:
    """Posts every sublot when its time comes. Raises Unanswered."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_one(caller, catalog, each, began)) for each in goods]
    return [task.result() for task in tasks]


async def _one(caller: Caller, catalog: Catalog, goods: Goods, began: float) -> PlacedGoods:
    placed = PlacedGoods(goods)
    for zone, since in goods.moves:
        await asyncio.sleep(max(0.0, began + since - time.time()))
        at = time.time_ns() // 1000
        when = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at)).isoformat()
        if not placed.moves:
            lot = await caller.post(
                "warehouse",
                "/lots",
                {"item_id": catalog.items[goods.profile.item], "number": goods.name},
                f"{goods.name}:lot",
            )
            made = await caller.post(
                "warehouse",
                f"/lots/{lot['id']}/receive",
                {"amount": "10", "zone_id": catalog.zones[zone], "code": goods.name, "at": when},
                f"{goods.name}:receive",
            )
            placed.sublot_id = made["id"]
        else:
            await caller.post(
                "warehouse",
                f"/sublots/{placed.sublot_id}/custody",
                {"zone_id": catalog.zones[zone], "at": when},
                f"{goods.name}:{zone}",
            )
        placed.moves.append((zone, at, time.time_ns() // 1000))
    return placed
