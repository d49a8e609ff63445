"""The public API as the demo's people use it: each signs in by name and password."""

from collections.abc import Mapping
from typing import Any

import httpx

OK = range(200, 300)


class Unexpected(AssertionError):
    """The API answered otherwise than the story needs; the text says what was asked and what came."""


class Person:
    """Somebody at work, signed in at need."""

    def __init__(self, http: httpx.AsyncClient, login: str, password: str) -> None:
        self._http = http
        self.login = login
        self.password = password
        self._token: str | None = None

    async def _send(self, method: str, path: str, **more: Any) -> httpx.Response:
        for _ in range(2):
            if self._token is None:
                answer = await self._http.post(
                    "/api/v1/token", data={"username": self.login, "password": self.password}
                )
                if answer.status_code not in OK:
                    raise Unexpected(f"{self.login} cannot sign in: {answer.status_code} {answer.text}")
                self._token = answer.json()["access_token"]
            answer = await self._http.request(
                method, f"/api/v1{path}", headers={"Authorization": f"Bearer {self._token}"}, **more
            )
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                return answer
            self._token = None
        return answer

    async def get(self, path: str, **params: Any) -> Any:
        """The answer. Raises Unexpected."""
        answer = await self._send("GET", path, params={k: v for k, v in params.items() if v is not None})
        if answer.status_code not in OK:
            raise Unexpected(f"GET {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def all(self, path: str, **params: Any) -> list[Any]:
        """Every item of a paged list."""
        items: list[Any] = []
        cursor = None
        while True:
            page = await self.get(path, cursor=cursor, limit=500, **params)
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """The answer. Raises Unexpected."""
        answer = await self._send("POST", path, json=body or {})
        if answer.status_code not in OK:
            raise Unexpected(f"POST {path}: {answer.status_code} {answer.text}")
        return answer.json()

    async def refused(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The problem document of a refusal (409). Raises Unexpected if it is anything else."""
        answer = await self._send("POST", path, json=body or {})
        if answer.status_code != httpx.codes.CONFLICT:
            raise Unexpected(f"POST {path} should be refused: {answer.status_code} {answer.text}")
        problem: dict[str, Any] = answer.json()
        return problem
