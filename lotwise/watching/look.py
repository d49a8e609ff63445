"""One look at a place from outside: does it answer, what does it say of itself, its clock, its certificate."""

import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from cryptography import x509

from core.foreseen import ending
from core.heartbeats import CLOCK_TOLERANCE
from core.outbound.watching import ANSWER
from lotwise.status import health_of

TIMEOUT = 10.0
SLOW_ANSWER = 1.0
"""Seconds: `Date` has whole seconds, and the answer was under way."""


class Place:
    """The address of a core (or a gateway's health)."""

    def __init__(self, url: str, ca: Path | None = None, clock: Callable[[], float] = time.time) -> None:
        self.url, self._clock = url.rstrip("/"), clock
        context = ssl.create_default_context(cafile=None if ca is None else str(ca))
        self._http = httpx.Client(verify=context, timeout=TIMEOUT, follow_redirects=False)

    def close(self) -> None:
        """Closes its connections."""
        self._http.close()

    def look(self) -> dict[str, str | None]:
        """What is wrong by check, None where nothing is. A place that does not answer as Lotwise has ANSWER alone."""
        try:
            with self._http.stream("GET", f"{self.url}/healthz") as answer:
                ends = _certificate_ends(answer)
                answer.read()
            health = health_of(answer.json())
        except httpx.HTTPError as error:
            return {ANSWER: str(error) or type(error).__name__}
        except ValueError:
            return {ANSWER: f"status {answer.status_code}, and nothing that Lotwise says"}
        if health is None:
            return {ANSWER: f"status {answer.status_code}, and nothing that Lotwise says"}
        found: dict[str, str | None] = {ANSWER: None}
        found |= {name: None if said == "ok" else said for name, said in health["checks"].items()}
        found["own_clock"] = self._clocks_differ(answer)
        found["served_certificate"] = None if ends is None else ending(ends, datetime.fromtimestamp(self._clock(), UTC))
        return found

    def _clocks_differ(self, answer: httpx.Response) -> str | None:
        """Whether its clock is not ours, by the time it gives its answer."""
        try:
            its = parsedate_to_datetime(answer.headers["Date"]).timestamp()
        except (KeyError, ValueError):
            return None
        ahead = its - self._clock()
        if abs(ahead) <= CLOCK_TOLERANCE + SLOW_ANSWER + answer.elapsed.total_seconds():
            return None
        return f"{abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} the watch's"


def _certificate_ends(answer: httpx.Response) -> datetime | None:
    """When the certificate ends that was shown; None without TLS."""
    stream: Any = answer.extensions.get("network_stream")
    tls = None if stream is None else stream.get_extra_info("ssl_object")
    shown = None if tls is None else tls.getpeercert(True)
    return None if shown is None else x509.load_der_x509_certificate(shown).not_valid_after_utc


def named(url: str) -> str:
    """How a place is called in messages: its host and port."""
    return urlsplit(url).netloc or url
