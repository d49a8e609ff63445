"""Registers what the outbox tells others, as far as the settings name somebody to tell."""

import re

from core.erp.kernel.access.users import SIGNER_TOPIC
from core.erp.kernel.outbox import Outbox
from core.outbound.grafana import Annotator, handlers
from core.outbound.messages.registering import register_messages
from core.outbound.settings import OutboundSettings
from core.outbound.webhook import Webhook


def register_outbox(outbox: Outbox, settings: OutboundSettings | None = None) -> None:
    """Grafana's annotations and the webhook, where they are set; messages to people. Raises ValueError for unfit
    settings.

    Whatever its topics are, the webhook tells who was given the means to sign: no administrator does that unseen.
    """
    chosen = settings or OutboundSettings()
    if chosen.grafana_url and chosen.grafana_token:
        register_grafana(outbox, Annotator(chosen.grafana_url, chosen.grafana_token.get_secret_value()))
    if chosen.webhook_url and chosen.webhook_secret:
        webhook = Webhook(chosen.webhook_url, chosen.webhook_secret.get_secret_value())
        outbox.on_external(chosen.webhook_topics, "webhook", webhook.send)
        if not _covers(chosen.webhook_topics, SIGNER_TOPIC):
            outbox.on_external(SIGNER_TOPIC, "webhook signers", webhook.send)
    register_messages(outbox, chosen)


def _covers(pattern: str, topic: str) -> bool:
    """Whether an SQL LIKE pattern holds for the topic."""
    wild = {"%": ".*", "_": "."}
    return re.fullmatch("".join(wild.get(sign, re.escape(sign)) for sign in pattern), topic) is not None


def register_grafana(outbox: Outbox, annotator: Annotator) -> None:
    """One outbox handler per topic, so that one that fails holds up no other."""
    for topic, handle in handlers(annotator).items():
        outbox.on_external(topic, f"grafana:{topic}", handle)
