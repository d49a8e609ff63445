"""Signed webhooks: an outbox row as JSON, with an HMAC that its receiver can check.

`Lotwise-Signature: t=<unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">`. `Lotwise-Event` is the outbox row's id: a
receiver that has seen it may ignore the repetition.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from core.erp.kernel.outbox import OutboxMessage, RetryLater
from core.erp.kernel.unit import json_value

TIMEOUT = 5.0
_PASSING = frozenset({401, 403, 404, 408, 409, 425, 429})


class WebhookRefused(Exception):
    """The receiver says that it will never take this message; somebody must look at it."""


class BadSignature(ValueError):
    """The header does not sign this body, or did so too long ago."""


def sign(secret: str, body: bytes, at: datetime) -> str:
    """The signature header of a body sent at that time."""
    stamp = int(at.timestamp())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


def verify(secret: str, body: bytes, header: str, now: datetime, tolerance: timedelta = timedelta(minutes=5)) -> None:
    """What a receiver does. Raises BadSignature for a wrong, malformed or stale header."""
    parts = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    stamp = parts.get("t", "")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 12):  # noqa: PLR2004 - the year 33658
        raise BadSignature("no time in the signature")
    at = datetime.fromtimestamp(int(stamp), UTC)
    if not hmac.compare_digest(sign(secret, body, at), f"t={int(stamp)},v1={parts.get('v1', '')}"):
        raise BadSignature("the signature does not fit the body")
    if abs(now - at) > tolerance:
        raise BadSignature(f"signed {abs(now - at)} away from now")


def new_client(timeout: float = TIMEOUT) -> httpx.Client:
    """Connections that webhooks may share. No redirect is followed: it may lead inside."""
    return httpx.Client(timeout=timeout, follow_redirects=False)


class Webhook:
    """One receiver. `clock` gives the time of sending; a `client` that is handed in is the caller's."""

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        timeout: float = TIMEOUT,
        clock: Callable[[], datetime] | None = None,
        client: httpx.Client | None = None,
    ) -> None:
        self._url, self._secret = url, secret
        self._clock = clock or (lambda: datetime.now(UTC))
        self._http = client or new_client(timeout)

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def send(self, message: OutboxMessage) -> None:
        """Posts the message. Raises RetryLater when it may go later, WebhookRefused when it never will."""
        said = {
            "id": message.id,
            "at": json_value(message.at),
            "topic": message.topic,
            "key": message.key,
            "payload": json_value(message.payload),
        }
        self.post(str(message.id), said)

    def post(self, event: str, said: Mapping[str, Any]) -> None:
        """Posts what is said of an event, signed; it has a topic. A redirect is refused: it may lead inside."""
        body = json.dumps(said, sort_keys=True).encode()
        headers = {
            "Content-Type": "application/json",
            "Lotwise-Event": event,
            "Lotwise-Topic": str(said["topic"]),
            "Lotwise-Signature": sign(self._secret, body, self._clock()),
        }
        try:
            answer = self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise RetryLater(f"webhook {self._url}: {type(error).__name__}: {error}") from error
        if answer.is_success:
            return
        detail = f"webhook {self._url}: {answer.status_code}"
        if answer.is_server_error or answer.status_code in _PASSING:
            raise RetryLater(detail)
        raise WebhookRefused(detail)
