"""Each channel to a real peer of its kind: mail by TLS, a siren's topic on a broker, robots and gateways by HTTP."""

import base64
import hashlib
import hmac
import json
import queue
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import paho.mqtt.client as mqtt
import pytest
from aiosmtpd.controller import Controller
from apprise.plugins.dingtalk import NotifyDingTalk
from apprise.plugins.feishu import NotifyFeishu
from apprise.plugins.wecombot import NotifyWeComBot

from core.erp.alerting.service.carrying import Parcel
from core.erp.kernel.outbox import RetryLater
from core.outbound.messages.gateways import Chats, Telephone, Topics
from core.outbound.messages.mail import Mail
from lotwise.embedded.process import ServerProcess
from tests.servers import accepts, free_port, need_mosquitto
from tests.services.alerting_world import Post, mail_server
from tests.services.forwarder_servers import certificate
from tests.services.outbound_servers import receiver

LINK = "https://lotwise.example.com/told/7"


def parcel(address: str, kind: str = "told") -> Parcel:
    return Parcel(
        7,
        1,
        "message-7",
        kind,
        address,
        "en",
        "ALARM: room",
        "ALARM: room\nGo there",
        "ALARM: room",
        "/told/7",
        False,
        "ab" * 8,
    )


# --- mail by TLS


class _Controller(Controller):
    def _trigger_server(self) -> None:
        """Its own look uses the server's context for the client's side, which TLS of today refuses."""
        plain = socket.create_connection((self.hostname, self.port), 5)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        (context.wrap_socket(plain) if self.ssl_context else plain).close()


@contextmanager
def secure(folder: Path, *, start: bool) -> Iterator[Post]:
    """A server that speaks TLS: from the first byte, or after STARTTLS, without which it takes nothing."""
    certificate(folder, "server", certificate(folder, "ca", None))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    post = Post(port)
    options: dict[str, Any] = {"tls_context": context, "require_starttls": True} if start else {"ssl_context": context}
    controller = _Controller(post, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield post
    finally:
        controller.stop()


@pytest.mark.parametrize(("scheme", "start"), [("smtps", False), ("smtp", True)])
def test_mail_goes_by_tls_and_to_no_server_with_a_wrong_certificate(
    tmp_path: Path, scheme: str, *, start: bool
) -> None:
    certificate(tmp_path, "other", None)
    with secure(tmp_path, start=start) as post:
        url = f"{scheme}://127.0.0.1:{post.port}"
        known = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        Mail(url, "lotwise@example.com", context=known).send(parcel("wes@example.com"), LINK)
        assert post.subjects == ["ALARM: room"]
        assert post.letters[0]["Message-ID"] == f"<message-7-{'ab' * 8}@example.com>"
        other = ssl.create_default_context(cafile=tmp_path / "other.pem")
        for context in (other, None):
            with pytest.raises(RetryLater, match="CERTIFICATE_VERIFY_FAILED"):
                Mail(url, "lotwise@example.com", context=context).send(parcel("wes@example.com"), LINK)
        assert len(post.letters) == 1


def test_a_server_without_starttls_is_told_nothing() -> None:
    with mail_server() as post:
        with pytest.raises(RetryLater):
            Mail(f"smtp://127.0.0.1:{post.port}", "lotwise@example.com").send(parcel("wes@example.com"), LINK)
        assert post.letters == []


# --- a siren


def test_a_siren_hears_on_and_off_on_its_topic(tmp_path: Path) -> None:
    port = free_port()
    config = tmp_path / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\n")
    broker = ServerProcess("mosquitto", [need_mosquitto(), "-c", str(config)], tmp_path / "mosquitto.log")
    broker.start(lambda: accepts(port))
    heard: queue.Queue[dict[str, Any]] = queue.Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    subscribed: queue.Queue[bool] = queue.Queue()
    client.on_subscribe = lambda *_: subscribed.put(True)
    client.on_message = lambda _client, _data, message: heard.put(json.loads(message.payload))
    try:
        client.connect("127.0.0.1", port)
        client.subscribe("hall/3/siren", qos=1)
        client.loop_start()
        assert subscribed.get(timeout=10)
        siren = Topics(f"mqtt://127.0.0.1:{port}")
        siren.send(parcel("hall/3/siren"), LINK)
        siren.send(parcel("hall/3/siren", "all_clear"), LINK)
        said = [heard.get(timeout=10) for _ in range(2)]
    finally:
        client.loop_stop()
        client.disconnect()
        broker.stop()
    assert [(one["state"], one["id"], one["link"]) for one in said] == [
        ("on", "message-7", LINK),
        ("off", "message-7", LINK),
    ]
    with pytest.raises(RetryLater):
        siren.send(parcel("hall/3/siren"), LINK)


# --- robots


def said(body: bytes) -> str:
    """What a robot shows, of the three shapes that their makers describe."""
    read = json.loads(body)
    if "msg_type" in read:  # Feishu: open.feishu.cn, custom bots
        assert read["msg_type"] == "text"
        return str(read["content"]["text"])
    assert read["msgtype"] == "text"  # WeCom, DingTalk
    return str(read["text"]["content"])


ROBOTS = [
    (NotifyWeComBot, "wecombot://key-of-the-robot", {"errcode": 0, "errmsg": "ok"}, {"errcode": 45009}),
    (NotifyDingTalk, "dingtalk://SEC0123456789@0123456789abcdef", {"errcode": 0}, {"errcode": 310000}),
    (NotifyFeishu, "feishu://0123456789abcdef", {"code": 0}, {"code": 9499, "msg": "Bad Request"}),
]


@pytest.mark.parametrize(("plugin", "url", "takes", "refuses"), ROBOTS, ids=["wecom", "dingtalk", "feishu"])
def test_robots_get_their_shape_and_a_refusal_within_200_is_none_taken(
    monkeypatch: pytest.MonkeyPatch, plugin: Any, url: str, takes: dict[str, Any], refuses: dict[str, Any]
) -> None:
    with receiver() as robot:
        path = urlsplit(plugin.notify_url)
        monkeypatch.setattr(plugin, "notify_url", plugin.notify_url.replace(f"https://{path.netloc}", robot.url))
        robot.answers = [takes, refuses]
        chat = Chats({"plant": url})
        chat.send(parcel("plant"), LINK)
        (target, _headers, body) = robot.posts[0]
        assert said(body).endswith(f"Go there\n{LINK}")
        if plugin is NotifyDingTalk:
            asked = {name: value[0] for name, value in parse_qs(urlsplit(target).query).items()}
            key = b"SEC0123456789"
            mac = hmac.digest(key, f"{asked['timestamp']}\n".encode() + key, hashlib.sha256)
            assert asked["sign"] == base64.b64encode(mac).decode()
        with pytest.raises(RetryLater, match="not taken it"):
            chat.send(parcel("plant"), LINK)


def test_a_telephone_gateway_gets_number_and_short_text() -> None:
    with receiver() as gateway:
        port = urlsplit(gateway.url).port
        robot_answers = {"taken": True}
        gateway.answers = [robot_answers]
        Telephone(f"json://127.0.0.1:{port}/sms?:to={{to}}").send(parcel("+86 138 0013-8000"), LINK)
        read = json.loads(gateway.posts[0][2])
        assert read["to"] == "+8613800138000"
        assert read["message"] == f"ALARM: room\n{LINK}"
        gateway.fail = [503]
        with pytest.raises(RetryLater, match="503"):
            Telephone(f"json://127.0.0.1:{port}/sms?:to={{to}}").send(parcel("+1"), LINK)
