"""A simulated machine that insists on a secured channel and a user, read by the gateway as the scenario says."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from asyncua import Client, ua

from core.telemetry.quality import Quality
from edge.collectors.port import SourceLost, SourceMisconfigured
from edge.config import load
from edge.sources import PROTOCOLS
from simulators.describe import gateway_yaml
from simulators.opcua_security import CertificateFolder
from simulators.scenario import Scenario
from tests.faults.opcua_certificates import issue
from tests.servers import free_port
from tests.services.sim_support import LINE, Kept, collected, scenario

POINT = f"{LINE}/filler-1/sequence"


@pytest.fixture(autouse=True)
def test_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOTWISE_INSTANCE", "test")


def machine(folder: Path, **security: Any) -> Scenario:
    device = {
        "kind": "filling_machine",
        "name": "filler-1",
        "zone": LINE,
        "port": free_port(),
        "interval": "100ms",
        "user": "gateway",
        "password": "quiet-please",
        "security": {"certificates": str(folder / "papers")} | security,
    }
    return scenario([device])


async def attempt(text: str, folder: Path) -> None:
    """One connection of the gateway's collector, with its file as it says. Raises what the supervisor would hear."""
    file = folder / "attempt.yaml"
    file.write_text(text)
    [source] = load(file).sources
    async with asyncio.timeout(10):
        await PROTOCOLS["opcua"].make(source, dict).run(Kept())


@pytest.mark.parametrize(("policy", "mode"), [("Basic256Sha256", "SignAndEncrypt"), ("Aes256Sha256RsaPss", "Sign")])
def test_the_gateway_reads_it_and_others_are_refused(policy: str, mode: str, tmp_path: Path) -> None:
    trial = machine(tmp_path, policy=policy, mode=mode)
    right = gateway_yaml(trial, data_dir=str(tmp_path))
    kept = Kept()

    async def main() -> None:
        async with collected(trial, tmp_path, kept) as fleet:
            await kept.until(POINT, 5)
            endpoint = fleet.devices["filler-1"].endpoint  # type: ignore[union-attr]  # the filler is an OPC UA device
            offered = await Client(endpoint).connect_and_get_server_endpoints()
            assert {(e.SecurityMode.name, e.SecurityPolicyUri.rpartition("#")[2]) for e in offered} == {
                (mode, {"Aes256Sha256RsaPss": "Aes256_Sha256_RsaPss"}.get(policy, policy))
            }
            assert {token.TokenType for e in offered for token in e.UserIdentityTokens} == {ua.UserTokenType.UserName}
            with pytest.raises((SourceMisconfigured, SourceLost)):
                await attempt(right.replace("quiet-please", "guessed"), tmp_path)
            stranger = issue(tmp_path, "stranger")
            papers = tmp_path / "papers"
            other = right.replace(str(papers / "gateway.der"), str(stranger.der))
            other = other.replace(str(papers / "gateway-key.pem"), str(stranger.pem))
            with pytest.raises((SourceMisconfigured, SourceLost)):
                await attempt(other, tmp_path)
            stranger.trusted_in(papers / "trusted-clients")
            with pytest.raises(TimeoutError):  # it is let in, and goes on until it is stopped
                async with asyncio.timeout(1):
                    await attempt(other, tmp_path)

    asyncio.run(main())
    assert all(reading.quality is Quality.GOOD for reading in kept.of(POINT))


def test_certificates_that_are_there_stay(tmp_path: Path) -> None:
    papers = CertificateFolder(tmp_path)
    papers.make("filler-1", "127.0.0.1")
    made = {file: file.read_bytes() for file in tmp_path.rglob("*.*")}
    assert len(made) == 6
    papers.make("filler-1", "127.0.0.1")
    assert {file: file.read_bytes() for file in tmp_path.rglob("*.*")} == made
    assert papers.key("filler-1").stat().st_mode & 0o077 == 0


def test_a_password_on_an_open_channel_is_the_testers_own_choice(tmp_path: Path) -> None:
    trial = machine(tmp_path).model_dump(by_alias=True)
    trial["devices"][0]["security"] = None
    text = gateway_yaml(Scenario.model_validate(trial), data_dir=str(tmp_path))
    assert "allow_clear_password: true" in text
    assert "security:" not in text
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    assert [source.name for source in load(file).sources] == ["filler-1"]
