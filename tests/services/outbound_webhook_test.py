"""Webhooks are signed, repeated until taken, and refused for good only when the receiver says so."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from core.erp.kernel.outbox import Outbox, OutboxMessage, RetryLater
from core.outbound.handlers import register_outbox
from core.outbound.settings import OutboundSettings
from core.outbound.webhook import BadSignature, Webhook, WebhookRefused, sign, verify
from tests.services.outbound_servers import receiver

NOW = datetime(2026, 3, 5, 3, 0, tzinfo=UTC)
SECRET = "s" * 40
MESSAGE = OutboxMessage(id=77, at=NOW, topic="hold.placed", key="9", payload={"hold_id": 9, "reason": "zu warm, 9 °C"})


@pytest.fixture
def server() -> Iterator[Any]:
    with receiver() as running:
        yield running


@pytest.fixture
def webhook(server: Any) -> Iterator[Webhook]:
    made = Webhook(f"{server.url}/hook", SECRET, timeout=0.5, clock=lambda: NOW)
    yield made
    made.close()


def test_the_receiver_can_check_it(server: Any, webhook: Webhook) -> None:
    webhook.send(MESSAGE)
    ((headers, body),) = server.received
    verify(SECRET, body, headers["Lotwise-Signature"], NOW)
    assert json.loads(body)["payload"]["reason"] == "zu warm, 9 °C"
    assert (headers["Lotwise-Event"], headers["Lotwise-Topic"]) == ("77", "hold.placed")
    for wrong, header, now in (
        (body + b" ", headers["Lotwise-Signature"], NOW),
        (body, headers["Lotwise-Signature"], NOW + timedelta(minutes=6)),
        (body, headers["Lotwise-Signature"].replace("t=", "t=1"), NOW),
        (body, "", NOW),
        (body, "t=x,v1=y", NOW),
    ):
        with pytest.raises(BadSignature):
            verify(SECRET, wrong, header, now)
    with pytest.raises(BadSignature):
        verify("another", body, headers["Lotwise-Signature"], NOW)


@pytest.mark.parametrize("status", [401, 404, 408, 429, 500, 503])
def test_what_may_pass_is_tried_again(server: Any, webhook: Webhook, status: int) -> None:
    server.fail = [status]
    with pytest.raises(RetryLater, match=str(status)):
        webhook.send(MESSAGE)
    webhook.send(MESSAGE)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 400, 410, 422])
def test_what_never_passes_is_said(server: Any, webhook: Webhook, status: int) -> None:
    server.fail = [status]
    with pytest.raises(WebhookRefused, match=str(status)):
        webhook.send(MESSAGE)


def test_no_answer_and_nobody_there(server: Any, webhook: Webhook) -> None:
    server.delay = 1.0
    with pytest.raises(RetryLater, match="Timeout"):
        webhook.send(MESSAGE)
    gone = Webhook("http://127.0.0.1:9/", SECRET, timeout=0.5)
    with pytest.raises(RetryLater, match="ConnectError"):
        gone.send(MESSAGE)
    gone.close()


@given(st.binary(max_size=200), st.text(min_size=1, max_size=40))
def test_every_signature_fits_its_own_body_alone(body: bytes, secret: str) -> None:
    header = sign(secret, body, NOW)
    verify(secret, body, header, NOW)
    with pytest.raises(BadSignature):
        verify(secret, body + b"x", header, NOW)


@given(st.text(max_size=80))
def test_hostile_headers_never_escape(header: str) -> None:
    with pytest.raises(BadSignature):
        verify(SECRET, b"body", header, NOW)


@pytest.mark.parametrize("topics", ["hold.%", "%", "user.%"])
def test_who_is_given_the_means_to_sign_is_told_once_whatever_the_topics_are(topics: str) -> None:
    settings = OutboundSettings(
        webhook_url="http://127.0.0.1:9/", webhook_secret=SecretStr(SECRET), webhook_topics=topics
    )
    outbox = Outbox()
    register_outbox(outbox, settings)
    told = [pattern for pattern in outbox._patterns.values() if _like(pattern, "user.signer")]
    assert len(told) == 1


def _like(pattern: str, topic: str) -> bool:
    return topic.startswith(pattern.removesuffix("%")) if pattern.endswith("%") else pattern == topic
