"""Each channel's handler of the outbox: the attempt is written down, made, and what came of it is written down."""

from collections.abc import Callable

from sqlalchemy import Engine

from core.erp.alerting.service import carrying
from core.erp.alerting.service.carrying import Parcel
from core.erp.kernel.events import Events
from core.erp.kernel.outbox import Carrier, Outbox, OutboxMessage, RetryLater
from core.erp.kernel.unit import When
from core.outbound.messages.gateways import Chats, Telephone, Topics
from core.outbound.messages.mail import Mail
from core.outbound.messages.refused import MessageRefused
from core.outbound.settings import OutboundSettings
from core.outbound.webhook import Webhook, WebhookRefused, new_client

Send = Callable[[Parcel, str], None]
CHANNELS = ("mail", "sms", "voice", "chat", "webhook", "mqtt")
NEEDS = {
    "mail": "LOTWISE_SMTP_URL",
    "sms": "LOTWISE_SMS_URL",
    "voice": "LOTWISE_VOICE_URL",
    "chat": "LOTWISE_CHAT_URLS",
    "webhook": "LOTWISE_WEBHOOK_SECRET",
    "mqtt": "LOTWISE_SIREN_URL",
}
"""By channel, the setting without which there is none."""


def register_messages(outbox: Outbox, settings: OutboundSettings) -> None:
    """Every channel, whether it is set or not: what nobody can carry is kept, and is seen to wait."""
    ready = channels(settings)
    for name in CHANNELS:
        carrier = _carrier(ready.get(name) or _unset(NEEDS[name]), settings)
        outbox.on_carrier(f"alert_harm.{name}", f"{name}:harm", carrier, urgent=True)
        outbox.on_carrier(f"alert_message.{name}", f"{name}:messages", carrier)


def channels(settings: OutboundSettings) -> dict[str, Send]:
    """Those that are set."""
    found: dict[str, Send] = {}
    if settings.smtp_url is not None:
        found["mail"] = Mail(
            settings.smtp_url.get_secret_value(), settings.smtp_from, timeout=settings.smtp_timeout
        ).send
    if settings.sms_url is not None:
        found["sms"] = Telephone(settings.sms_url.get_secret_value()).send
    if settings.voice_url is not None:
        found["voice"] = Telephone(settings.voice_url.get_secret_value()).send
    if settings.chat_urls:
        found["chat"] = Chats({name: url.get_secret_value() for name, url in settings.chat_urls.items()}).send
    if settings.webhook_secret is not None:
        found["webhook"] = _posted(settings.webhook_secret.get_secret_value())
    if settings.siren_url is not None:
        found["mqtt"] = Topics(settings.siren_url.get_secret_value()).send
    return found


def _posted(secret: str) -> Send:
    client = new_client()  # one for all: the authorities of certificates are read once, and connections are kept

    def send(parcel: Parcel, link: str) -> None:
        receiver = Webhook(parcel.address, secret, client=client)
        said = {
            "subject": parcel.subject,
            "body": parcel.body,
            "kind": parcel.kind,
            "drill": parcel.drill,
            "link": link,
        }
        try:
            receiver.post(parcel.key, {"id": parcel.key, "topic": "alert_message", "payload": said})
        except WebhookRefused as error:
            raise MessageRefused(str(error)) from error

    return send


def _unset(setting: str) -> Send:
    def send(parcel: Parcel, link: str) -> None:
        del parcel, link
        raise RetryLater(f"{setting} is not set")

    return send


def _carrier(send: Send, settings: OutboundSettings) -> Carrier:
    def carry(engine: Engine, events: Events, message: OutboxMessage, when: When) -> None:
        parcel = carrying.begin(engine, events, int(message.key), when)
        if parcel is None:
            return
        try:
            send(parcel, f"{settings.public_url or ''}{parcel.path}")
        except RetryLater as error:
            if carrying.finish(engine, events, parcel, "later", str(error), when):
                raise
        except MessageRefused as error:
            carrying.finish(engine, events, parcel, "refused", str(error), when)
        else:
            carrying.finish(engine, events, parcel, "sent", when=when)

    return carry
