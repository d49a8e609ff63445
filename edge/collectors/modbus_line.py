"""The line to a bus: the driver's client for it, and the way to open it that says why it cannot be."""

import sys
from collections.abc import Callable
from typing import Any

from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient
from pymodbus.framer import FramerType

from edge.collectors.modbus_config import ModbusSource, SerialTransport, TcpTransport
from edge.collectors.port import SourceLost, SourceMisconfigured

Client = AsyncModbusTcpClient | AsyncModbusSerialClient

if sys.platform == "win32":
    _SETTINGS_REFUSED: tuple[type[Exception], ...] = (ValueError, OverflowError)
else:
    import termios

    _SETTINGS_REFUSED = (ValueError, OverflowError, termios.error)
"""What the opening of a line with settings that it cannot have raises. `termios.error` is no OSError."""
_NEVER = 1 << 30


def name_of(config: ModbusSource) -> str:
    """Host and port, or the serial port."""
    transport = config.transport
    return transport.port if isinstance(transport, SerialTransport) else f"{transport.host}:{transport.port}"


def _settings_of(config: ModbusSource) -> str:
    transport = config.transport
    if not isinstance(transport, SerialTransport):
        return ""
    return f" with {transport.baudrate} {transport.bytesize}{transport.parity}{transport.stopbits}"


async def opened(
    config: ModbusSource, received: Callable[[bool, bytes], bytes], changed: Callable[[bool], None]
) -> Client:
    """A client with its line open. `received` gets every packet (whether it is sent, its bytes) and returns it,
    `changed` whether the line is there.

    Raises SourceLost, with the reason, if the line cannot be opened; SourceMisconfigured if it cannot have its
    settings, such as a parity.
    """
    client = _client(config, received, changed)
    try:
        await _open(client, config)
    except BaseException:
        client.close()
        raise
    return client


async def _open(client: Client, config: ModbusSource) -> None:
    why = f"no answer within {config.timeout.total_seconds()} s"
    dial = client.ctx.call_create

    async def remembered() -> Any:
        nonlocal why
        try:
            return await dial()
        except OSError as error:  # of which the driver tells only that there was one
            why = str(error)
            raise

    client.ctx.call_create = remembered
    try:
        there = await client.connect()
    except _SETTINGS_REFUSED as error:
        raise SourceMisconfigured(f"cannot open {name_of(config)}{_settings_of(config)}: {error}") from error
    if not there:
        raise SourceLost(f"cannot open {name_of(config)}: {why}")


def _client(config: ModbusSource, received: Callable[[bool, bytes], bytes], changed: Callable[[bool], None]) -> Client:
    transport = config.transport
    timeout = config.timeout.total_seconds()
    # Attempts, back-off and reconnection are ours: the driver's own (3 s × 4, then on by itself) stall the bus.
    client: Client
    if isinstance(transport, SerialTransport):
        client = AsyncModbusSerialClient(
            transport.port,
            framer=FramerType.RTU,
            baudrate=transport.baudrate,
            bytesize=transport.bytesize,
            parity=transport.parity,
            stopbits=transport.stopbits,
            timeout=timeout,
            retries=0,
            reconnect_delay=0,
            trace_packet=received,
            trace_connect=changed,
        )
    else:
        client = AsyncModbusTcpClient(
            transport.host,
            port=transport.port,
            framer=FramerType.SOCKET if isinstance(transport, TcpTransport) else FramerType.RTU,
            timeout=timeout,
            retries=0,
            reconnect_delay=0,
            trace_packet=received,
            trace_connect=changed,
        )
    client.set_max_no_responses(_NEVER)
    return client
