"""The core's public API, as the command line asks it: signed in by name and password."""

import getpass
import os
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

import httpx

_TIMEOUT = 60.0
_SUCCESS = range(200, 300)


class CoreUnavailable(Exception):
    """The core cannot be reached, or what answers is none."""


class CoreRefused(Exception):
    """The core refused; `status` is HTTP's, the text the core's own."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Core:
    """The API of a core, for one person. A context manager; signs in at its first request.

    One that refuses connections may still be starting: `start_timeout` seconds are given to it, and `progress` is told.
    """

    def __init__(
        self,
        url: str,
        login: str | None,
        *,
        start_timeout: float = 0.0,
        progress: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._start_timeout = start_timeout
        self._progress = progress
        self.url = url.rstrip("/")
        self._login = login
        self._http = httpx.Client(timeout=_TIMEOUT)
        self._token: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **params: Any) -> Any:
        """The answer. Raises CoreUnavailable, CoreRefused."""
        return self._signed("GET", path, params={key: value for key, value in params.items() if value is not None})

    def all(self, path: str, **params: Any) -> list[dict[str, Any]]:
        """Every item of a paged list. Raises CoreUnavailable, CoreRefused."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.get(path, cursor=cursor, limit=500, **params)
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> Any:
        """The answer to a body. Raises CoreUnavailable, CoreRefused."""
        return self._signed(method, path, json=dict(body))

    def _signed(self, method: str, path: str, **more: Any) -> Any:
        if self._token is None:
            self._sign_in()
        return self._asked(method, f"/api/v1{path}", headers={"Authorization": f"Bearer {self._token}"}, **more)

    def _sign_in(self) -> None:
        self._reach()  # before a password is asked for in vain
        if not self._login:
            raise CoreRefused(401, "who signs in? give --login or LOTWISE_LOGIN")
        password = os.environ.get("LOTWISE_PASSWORD")
        if password is None:
            if not sys.stdin.isatty():
                raise CoreRefused(401, "the password is asked for at a terminal, or taken from LOTWISE_PASSWORD")
            password = getpass.getpass(f"Password of {self._login}: ", sys.stderr)
        answer = self._asked("POST", "/api/v1/token", data={"username": self._login, "password": password})
        self._token = str(answer["access_token"])

    def _reach(self) -> None:
        deadline = time.monotonic() + self._start_timeout
        waiting = False
        while True:
            try:
                self._asked("GET", "/api/v1/instance")
            except CoreUnavailable as error:
                if not isinstance(error.__cause__, httpx.ConnectError) or time.monotonic() >= deadline:
                    raise
            else:
                return
            if not waiting:
                self._progress(f"waiting for the core at {self.url}, at most {self._start_timeout:.0f} s")
            waiting = True
            time.sleep(0.5)

    def _asked(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, f"{self.url}{path}", **more)
            body = answer.json()
        except httpx.InvalidURL as error:
            raise CoreUnavailable(f"{self.url}: {error}") from error
        except httpx.HTTPError as error:
            raise CoreUnavailable(f"{self.url}: {error or type(error).__name__}") from error
        except ValueError as error:
            raise CoreUnavailable(
                f"{self.url} is no Lotwise core: it answered {answer.status_code} without JSON"
            ) from error
        if answer.status_code not in _SUCCESS:
            detail = body.get("detail", body) if isinstance(body, dict) else body
            raise CoreRefused(answer.status_code, str(detail))
        return body
