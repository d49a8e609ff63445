"""SMS and voice gateways, chat robots and MQTT topics, by their apprise URL. The only place that knows apprise.

It says whether a gateway has taken a message, and nothing more: durability, repetition and the record are ours.
"""

import json
import logging
import re
from urllib.parse import quote

import apprise

from core.erp.alerting.service.carrying import Parcel
from core.erp.kernel.outbox import RetryLater
from core.outbound.messages import robots
from core.outbound.messages.refused import MessageRefused

_CODE = re.compile(r"error[= ](\d{3})")


def notify(url: str, title: str, body: str) -> None:
    """Hands a text to the service that the URL names. Raises RetryLater, MessageRefused for no URL of apprise's."""
    service = apprise.Apprise()
    if not service.add(url):
        raise MessageRefused("the channel's URL is none that apprise knows")
    if robots.is_robot(service[0]):
        robots.post(service[0], f"{title}\n{body}" if title else body)
        return
    with apprise.LogCapture(level=logging.WARNING) as said:  # type: ignore[no-untyped-call]  # apprise has not typed it
        taken = service.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT)
        code = _CODE.search(said.getvalue())  # nothing else of it: it may name numbers and keys
    if not taken:
        raise RetryLater(f"the gateway has not taken it{f' ({code[1]})' if code else ''}")


class Telephone:
    """SMS, or voice: `{to}` in the URL is the number."""

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, parcel: Parcel, link: str) -> None:
        """The short form, with the link where it has room."""
        notify(self._url.replace("{to}", quote(_digits(parcel.address), safe="")), "", f"{parcel.short}\n{link}")


def _digits(number: str) -> str:
    """As gateways want it: digits, and the plus of an international one."""
    return ("+" if number.startswith("+") else "") + "".join(sign for sign in number if sign.isdigit())


class Chats:
    """Chat robots by name: the address of a way is the name of one of them."""

    def __init__(self, urls: dict[str, str]) -> None:
        self._urls = urls

    def send(self, parcel: Parcel, link: str) -> None:
        """The whole text."""
        url = self._urls.get(parcel.address)
        if url is None:
            raise RetryLater(f"no chat is called {parcel.address} in LOTWISE_CHAT_URLS")
        notify(url, parcel.subject, f"{parcel.body}\n{link}")


class Topics:
    """MQTT topics of one broker: a siren, a lamp. The address of a way is the topic."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def send(self, parcel: Parcel, link: str) -> None:
        """`on` while it lasts and `off` when it is over, with the short text and the link."""
        state = "off" if parcel.kind == "all_clear" else "on"
        said = {"state": state, "id": parcel.key, "text": parcel.short, "link": link, "drill": parcel.drill}
        base, _, more = self._url.partition("?")
        options = f"?{more}&qos=1" if more else "?qos=1"
        notify(f"{base}/{quote(parcel.address, safe='/')}{options}", "", json.dumps(said, ensure_ascii=False))
