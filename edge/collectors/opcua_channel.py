"""The library's transport, except that it tells why a server refuses a secure channel.

asyncua 2.1.0 forgets the status of such an answer: it fails an assertion where the operator should read that the server
does not accept our certificate.
"""

from typing import Any

from asyncua import ua
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import struct_from_binary


class _Channel(UASocketProtocol):  # type: ignore[misc] # asyncua publishes no types
    """Remembers how the opening of the channel was answered."""

    _answered: ua.StatusCode | None = None

    def _call_callback(self, request_id: int, body: Any) -> None:
        if self._open_secure_channel_exchange is not None and isinstance(body, Buffer):
            # every answer begins as a fault does: with its type and a header that has the status
            self._answered = struct_from_binary(ua.ServiceFault, body.copy()).ResponseHeader.ServiceResult
        super()._call_callback(request_id, body)

    async def open_secure_channel(self, params: ua.OpenSecureChannelParameters) -> Any:
        """Opens or renews the channel. Raises the server's status where it refuses."""
        try:
            return await super().open_secure_channel(params)
        except AssertionError as error:
            if self._answered is not None:
                self._answered.check()
            raise ConnectionError("no answer to the opening of the channel") from error


class Transport(UaClient):  # type: ignore[misc] # asyncua publishes no types
    """Makes channels that say why they are refused."""

    def _make_protocol(self) -> UASocketProtocol:
        self.protocol = _Channel(self._timeout, security_policy=self.security_policy)
        self.protocol.pre_request_hook = self._pre_request_hook
        self.protocol.on_connection_lost = self._on_transport_lost
        self.protocol.is_session_closing = self._is_session_closing
        return self.protocol
