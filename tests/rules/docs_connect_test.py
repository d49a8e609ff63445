"""Every configuration in docs/connect is one that a gateway takes."""

import textwrap
from pathlib import Path

import pytest

from edge.config import load
from tests.documents import ROOT, Block, blocks

BLOCKS = [
    block
    for page in sorted((ROOT / "docs" / "connect").glob("*.md"))
    for block in blocks(page)
    if block.language in {"yaml", "yml"}
]
HEAD = "gateway: gw\nsite: {site}\ninstance: test\ndata_dir: /var/lib/lotwise/gw\nstream: {{urls: ['nats://h:4222']}}\n"
MQTT = "- name: s\n  protocol: mqtt\n  host: h\n  subscriptions:\n"
OPCUA = "- name: s\n  protocol: opcua\n  endpoint: opc.tcp://h:4840\n  nodes:\n"
MODBUS = "- name: s\n  protocol: modbus\n  transport: {kind: tcp, host: h}\n  units:\n"
AROUND = {"- name:": "", "- topic:": MQTT, "- node:": OPCUA, "- {node:": OPCUA, "- id:": MODBUS, "nodes:": OPCUA[:-9]}
"""What stands around a part of a file, by how it begins."""


class Everything(dict[str, str]):
    """An environment in which every name is set."""

    def get(self, key: str, default: object = None) -> str:
        del default
        return f"value of {key}"


def whole(block: Block) -> str:
    """The block as a gateway's file, with what it leaves out."""
    text = block.text
    first = next(line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
    if first.startswith("gateway:"):
        return text
    before = next((AROUND[begin] for begin in AROUND if first.startswith(begin)), None)
    assert before is not None, f"{block.name}: begins with none of {', '.join(AROUND)}"
    site = "plant-1" if "plant-1/" in text else "plant"
    inner = textwrap.indent(text, "    ") if before else text
    return HEAD.format(site=site) + "sources:\n" + textwrap.indent(before + inner, "  ")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.name)
def test_a_configuration_of_the_docs_is_right(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(whole(block))
    assert load(file, Everything()).sources


def test_there_are_configurations_of_each_protocol() -> None:
    assert {block.page.stem for block in BLOCKS} >= {"mqtt", "opcua", "modbus"}
