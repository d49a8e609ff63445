"""Where a request comes from, behind proxies or not.

Only the proxies that the settings name (`LOTWISE_TRUSTED_PROXIES`) are believed: the address is the rightmost in
`X-Forwarded-For` that is not one of theirs, since whatever stands left of that, its sender may have written.
"""

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

from fastapi import Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

UNKNOWN = "unknown"
_IPV6_PREFIX = 64
"""Leading bits of an IPv6 address that one subscriber has: whoever may choose the rest is one address to us."""


class TrustedProxies:
    """Puts the client's own address and scheme into the request, where a trusted proxy says them."""

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = app
        self._trusted = [ip_network(network, strict=False) for network in trusted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] in {"http", "websocket"} and self._trusted:
            peer = scope.get("client")
            if peer and self._is_proxy(_address(peer[0])):
                headers = Headers(scope=scope)
                scope = {**scope, **self._forwarded(headers, peer, web="http" if scope["type"] == "http" else "ws")}
        await self._app(scope, receive, send)

    def _is_proxy(self, address: IPv4Address | IPv6Address | None) -> bool:
        return address is not None and any(address in network for network in self._trusted)

    def _forwarded(self, headers: Headers, peer: tuple[str, int], *, web: str) -> dict[str, object]:
        """The client and the scheme, as the outermost trusted proxy saw them."""
        client = peer[0]
        for hop in reversed(_listed(headers.getlist("x-forwarded-for"))):
            address = _address(hop)
            if address is None:
                break  # nobody's proxy writes such a thing: what stands left of it is not believed either
            client = str(address)
            if not self._is_proxy(address):
                break
        scheme = (_listed(headers.getlist("x-forwarded-proto")) or [""])[-1].lower()
        found: dict[str, object] = {"client": (client, 0)}
        if scheme in {"http", "https"}:
            found["scheme"] = scheme.replace("http", web)
        return found


def _listed(values: Iterable[str]) -> list[str]:
    return [part.strip() for value in values for part in value.split(",") if part.strip()]


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address in `1.2.3.4`, `1.2.3.4:567`, `2001:db8::1` or `[2001:db8::1]:567`; None for anything else."""
    bare = text[1:].partition("]")[0] if text.startswith("[") else text
    if bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def address_of(request: Request) -> str:
    """The address that a request is counted under: an IPv4 address, or the /64 of an IPv6 one."""
    if request.client is None:
        return UNKNOWN
    address = _address(request.client.host)
    if isinstance(address, IPv6Address):
        return str(IPv6Network((address, _IPV6_PREFIX), strict=False))
    return str(address) if address is not None else UNKNOWN
