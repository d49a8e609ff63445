"""Grafana's HTTP API, by grafana-api; only this room knows that library.

It raises errors by status class, has a time-out of its own and no retry; what it has no method for goes by its raw
requests.
"""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from grafana_api.grafana_api import GrafanaException
from grafana_api.grafana_face import GrafanaFace
from requests.exceptions import JSONDecodeError, RequestException

TIMEOUT = 5.0


def face(url: str, token: str, *, timeout: float = TIMEOUT, verify: bool = True) -> GrafanaFace:
    """The library's client of the Grafana at the URL, which may have a path."""
    parts = urlsplit(url)
    prefix = parts.path.strip("/")
    return GrafanaFace(
        auth=token,
        host=parts.hostname or "localhost",
        port=parts.port,
        url_path_prefix=f"{prefix}/" if prefix else "",
        protocol=parts.scheme or "http",
        verify=verify,
        timeout=timeout,
    )


class GrafanaFault(Exception):
    """Grafana did not do it; the text says who has to mend what. `status` is HTTP's, 0 where nothing answered."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


_WHAT = {
    401: "it refuses the token: is LOTWISE_GRAFANA_TOKEN of a service account that is enabled, and not expired?",
    403: "the token has no right to: give its service account the role Editor (for alert rules and policies: Admin)",
    412: "somebody saved it in the meantime: look at it and run this again",
    429: "it is asked too often: run this again in a while",
}


class GrafanaApi:
    """Requests to `/api/…`; every error is a GrafanaFault."""

    def __init__(self, url: str, token: str, *, timeout: float = TIMEOUT) -> None:
        self.url = url
        self._face = face(url, token, timeout=timeout)

    def close(self) -> None:
        """Closes the connections."""
        self._face.api.s.close()

    def get(self, path: str) -> Any:
        """What is there. Raises GrafanaFault, with status 404 where nothing is."""
        return self._asked("reading", path, lambda: self._face.api.GET(path))

    def found(self, path: str) -> Any:
        """What is there, None where nothing is. Raises GrafanaFault."""
        try:
            return self.get(path)
        except GrafanaFault as fault:
            if fault.status == 404:  # noqa: PLR2004 - HTTP's
                return None
            raise

    def post(self, path: str, body: object, *, editable: bool = False) -> Any:
        """Makes something; with `editable` people may change it in Grafana afterwards."""
        return self._asked("writing", path, lambda: self._face.api.POST(path, json=body, headers=_headers(editable)))

    def put(self, path: str, body: object, *, editable: bool = False) -> Any:
        """Replaces something."""
        return self._asked("writing", path, lambda: self._face.api.PUT(path, json=body, headers=_headers(editable)))

    def _asked(self, doing: str, path: str, ask: Callable[[], Any]) -> Any:
        where = f"Grafana at {self.url}, {doing} {path.partition('?')[0]}"
        try:
            return ask()
        except GrafanaException as error:
            said = _WHAT.get(error.status_code, str(error.message))
            detail = error.response.get("message", "") if isinstance(error.response, dict) else ""
            told = f" (it says: {detail})" if error.status_code in _WHAT and detail else ""
            raise GrafanaFault(f"{where}: {error.status_code}: {said}{told}", error.status_code) from error
        except JSONDecodeError as error:
            text = f"{where}: what answers is no Grafana; is the path of LOTWISE_GRAFANA_URL right?"
            raise GrafanaFault(text) from error
        except RequestException as error:
            raise GrafanaFault(f"{where}: nothing answers ({type(error).__name__}): {error}") from error


def _headers(editable: bool) -> dict[str, str] | None:
    return {"X-Disable-Provenance": "true"} if editable else None
