"""TLS by Lotwise itself: the certificate that is given is shown, and one that does not fit is told at the start."""

import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from pydantic import SecretStr, ValidationError
from sqlalchemy import Engine

from core.app import create_app
from core.settings import Settings
from lotwise.served import configured
from lotwise.serving import shown
from tests.servers import free_port


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for localhost and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "90",  # /healthz tells of one that ends within a month
            "-subj",
            "/CN=localhost",
            "-addext",
            "subjectAltName=DNS:localhost",
            "-keyout",
            key,
            "-out",
            certificate,
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


def settings(folder: Path, certificate: Path, key: Path) -> Settings:
    return Settings(instance="live", secret_key=SecretStr("s" * 40), data_dir=folder, certificate=certificate, key=key)


@pytest.fixture
def served(engine: Engine, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    certificate, key = pair(tmp_path, "own")
    conf = settings(tmp_path, certificate, key)
    config = configured(create_app(conf, engine, run_background=False), conf)
    config.host, config.port = "127.0.0.1", free_port()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield config.port, certificate
    server.should_exit = True
    thread.join(20)


def test_tls_without_a_proxy(served: tuple[int, Path]) -> None:
    port, certificate = served
    trusted = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=f"https://localhost:{port}", verify=trusted, timeout=30) as client:
        answer = client.get("/api/v1/instance")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        assert "server" not in answer.headers
        assert client.get("/api/v1/instance", headers={"X-Forwarded-Proto": "http"}).headers[
            "strict-transport-security"
        ]
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"http://localhost:{port}/api/v1/instance")
    assert shown("0.0.0.0", port, tls=True) == f"https://127.0.0.1:{port}"


def test_a_key_of_another_certificate_is_told(engine: Engine, tmp_path: Path) -> None:
    (certificate, key), (_, other) = pair(tmp_path, "one"), pair(tmp_path, "two")
    app = create_app(settings(tmp_path, certificate, key), engine, run_background=False)
    with pytest.raises(SystemExit, match=r"cannot serve with the certificate .*one\.pem"):
        configured(app, settings(tmp_path, certificate, other))
    with pytest.raises(ValidationError, match="go together"):
        Settings(certificate=certificate)
    with pytest.raises(ValidationError, match="no such file"):
        Settings(certificate=tmp_path / "none.pem", key=key)


@pytest.mark.parametrize("said", ["10.0.0.5", "10.0.0.0/8, ::1", ""])
def test_proxies_are_networks(said: str) -> None:
    assert len(Settings(trusted_proxies=said).proxies) == len([part for part in said.split(",") if part])
    with pytest.raises(ValidationError):
        Settings(trusted_proxies="everybody")
