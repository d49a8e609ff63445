"""Payload decoders, by name. A new dialect is one file and one line in each of the two tables."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from edge.collectors.decoders.base import BadPayload, Decoded, Decoder, Options
from edge.collectors.decoders.chirpstack_v4 import ChirpStackOptions, ChirpStackV4
from edge.collectors.decoders.json_path import Json, JsonOptions
from edge.collectors.decoders.number import Number, NumberOptions
from edge.collectors.decoders.shelly_gen2 import ShellyGen2, ShellyOptions
from edge.collectors.decoders.sparkplug_b import SparkplugB, SparkplugOptions
from edge.collectors.decoders.tasmota import Tasmota, TasmotaOptions
from edge.collectors.decoders.ttn_v3 import TtnOptions, TtnV3
from edge.collectors.decoders.zigbee2mqtt import Zigbee2Mqtt, Zigbee2MqttOptions

__all__ = ["DECODERS", "BadPayload", "Decoded", "Decoder", "DecoderOptions", "Options", "make_decoder"]

DECODERS: dict[str, type] = {
    "json": Json,
    "number": Number,
    "tasmota": Tasmota,
    "shelly_gen2": ShellyGen2,
    "zigbee2mqtt": Zigbee2Mqtt,
    "chirpstack_v4": ChirpStackV4,
    "ttn_v3": TtnV3,
    "sparkplug_b": SparkplugB,
}


def _named(options: object) -> object:
    """A bare name stands for the decoder with its defaults."""
    return {"name": options} if isinstance(options, str) else options


DecoderOptions = Annotated[
    Annotated[
        JsonOptions
        | NumberOptions
        | TasmotaOptions
        | ShellyOptions
        | Zigbee2MqttOptions
        | ChirpStackOptions
        | TtnOptions
        | SparkplugOptions,
        Field(discriminator="name"),
    ],
    BeforeValidator(_named),
]
"""A decoder in the configuration: its name, or its name with options."""


def make_decoder(options: DecoderOptions) -> Decoder:
    """The decoder that the options ask for, with nothing remembered."""
    decoder: Decoder = DECODERS[options.name](options)
    return decoder
