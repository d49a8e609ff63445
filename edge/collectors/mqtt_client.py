"""The paho-mqtt client as we use it: read in large pieces, acknowledged in one write, never without verification.

Besides it only browsing imports paho. It overrides the private `_sock_recv`, `_handle_publish`, `_handle_pubrel` and
`_ssl_wrap_socket` of version 2.2.0 and uses some more private names; the version is pinned and a test compares.
"""

import socket
import ssl
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

from edge.collectors.mqtt_config import MqttSource
from edge.collectors.mqtt_frames import EXACTLY_ONCE, Message, read_publish, whole_publish
from edge.collectors.port import SourceMisconfigured

BUFFER = 262_144
PUBACK, PUBREC = 0x40, 0x50
FIRST_MID = 0x8000
"""Packet identifiers of ours begin here: some brokers take one that they use themselves for one that is in use."""
SEND_RETAINED_AT_NEW_SUBSCRIPTION = 1


class BufferedClient(paho.Client):  # type: ignore[misc]  # paho is untyped for mypy, see pyproject
    """Reads the socket in large pieces, from which publications are taken without paho's detours; paho keeps all else.

    `heard` is called for every publication. Reading raises BadFrame (a ValueError) for one that cannot be.
    """

    on_publish: Callable[[Message], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._piece = b""
        self._piece_at = 0
        self._five = self._protocol == paho.MQTTv5
        self._last_mid = FIRST_MID

    def take_publications(self, limit: int) -> int:
        """Hands over publications that are whole in the piece, until something else comes. Returns how many."""
        taken = 0
        while taken < limit and self._piece_at < len(self._piece) and not self._in_packet["command"]:
            found = whole_publish(self._piece, self._piece_at)
            if found is None:
                break
            start, end = found
            message = read_publish(self._piece[self._piece_at], self._piece[start:end], five=self._five)
            self._piece_at = end
            taken += 1
            self.on_publish(message)
        if taken:
            self._last_bytes_received = time.monotonic()
        return taken

    def _handle_publish(self) -> object:
        """A publication that came in parts, put together by paho."""
        packet = self._in_packet
        self.on_publish(read_publish(packet["command"], bytes(packet["packet"]), five=self._five))
        return paho.MQTT_ERR_SUCCESS

    def _handle_pubrel(self) -> object:
        """The last step of a publication at QoS 2, which was kept before its first step was answered."""
        (mid,) = struct.unpack_from("!H", self._in_packet["packet"])
        return self._send_pubcomp(mid)

    def _sock_recv(self, bufsize: int) -> bytes:
        if self._piece_at >= len(self._piece):
            if bufsize >= BUFFER:
                direct: bytes = super()._sock_recv(bufsize)
                return direct
            self._piece, self._piece_at = b"", 0
            self._piece = super()._sock_recv(BUFFER)
        start = self._piece_at
        self._piece_at = min(start + bufsize, len(self._piece))
        return self._piece[start : self._piece_at]

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        """As paho's, which leaves the socket open when the handshake fails."""
        assert self._ssl_context is not None
        wrapped: ssl.SSLSocket = self._ssl_context.wrap_socket(
            tcp_sock, server_hostname=self._host, do_handshake_on_connect=False
        )
        try:
            wrapped.settimeout(self._connect_timeout)
            wrapped.do_handshake()
        except OSError:
            wrapped.close()
            raise
        return wrapped

    @property
    def holds_bytes(self) -> bool:
        """Whether bytes already taken from the socket wait here or in the TLS layer."""
        if self._piece_at < len(self._piece):
            return True
        sock = self.socket()
        return isinstance(sock, ssl.SSLSocket) and sock.pending() > 0

    def ack_all(self, messages: Sequence[Message]) -> None:
        """Acknowledges messages in one write, in this order."""
        if messages:
            packet = b"".join(
                struct.pack("!BBH", PUBREC if message.qos == EXACTLY_ONCE else PUBACK, 2, message.mid)
                for message in messages
            )
            self._packet_queue(PUBACK, packet, messages[-1].mid, 1)
            self.loop_write()  # now, not at the loop's next turn: what is not sent when we die comes again

    def ping_unanswered(self) -> None:
        """Keeps the broker's patience while we do not read, hence cannot see the answer."""
        self._send_pingreq()
        self._ping_t = 0.0

    def connect_to(self, config: MqttSource) -> None:
        """Opens the connection and asks for the persistent session. Blocks. Raises OSError."""
        host, port = config.address
        five = config.version == "5"
        # MQTT 5's default would discard what the broker queued (facts §5)
        more = {"clean_start": False, "properties": _connect_properties(config)} if five else {}
        self.connect(host, port, config.keepalive, **more)

    def subscribe_to(self, config: MqttSource) -> None:
        """Asks for every filter at QoS 1. With MQTT 5 a resumed session is not sent the retained messages again."""
        level: object = 1
        if config.version == "5":
            level = SubscribeOptions(qos=1, retainHandling=SEND_RETAINED_AT_NEW_SUBSCRIPTION)
        self.subscribe([(name, level) for name in config.wire_filters()])

    def free(self) -> None:
        """Closes every file; paho itself would only when collected."""
        self._reset_sockets()


def make_client(config: MqttSource) -> BufferedClient:
    """A client set up as configured, not connected. Raises SourceMisconfigured for unusable TLS files."""
    five = config.version == "5"
    client = BufferedClient(
        paho.CallbackAPIVersion.VERSION2,
        client_id=config.session,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        clean_session=None if five else False,
        reconnect_on_failure=False,
        manual_ack=True,
    )
    client.connect_timeout = config.connect_timeout.total_seconds()
    if config.username is not None:
        client.username_pw_set(config.username, config.password.get_secret_value() if config.password else None)
    if config.tls is not None:
        client.tls_set_context(tls_context(config))
    return client


def tls_context(config: MqttSource) -> ssl.SSLContext:
    """A context that verifies certificate and host name. Raises SourceMisconfigured."""
    assert config.tls is not None
    try:
        context = ssl.create_default_context(cafile=config.tls.ca)
        if config.tls.cert is not None:
            context.load_cert_chain(config.tls.cert, config.tls.key)
    except (ssl.SSLError, OSError) as error:
        raise SourceMisconfigured(f"TLS files of {config.name}: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _connect_properties(config: MqttSource) -> Properties:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = int(config.session_expiry.total_seconds())
    properties.ReceiveMaximum = config.receive_maximum
    return properties
