"""The API over a plant of two sites, with people who belong to one of them only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import Place, create_user
from core.erp.kernel.permits import INSIDE, Role
from core.erp.kernel.unit import Unit
from core.settings import Settings
from lotwise.reference import api_description
from tests.services.quality_plant import Plant, build
from tests.services.two_sites import Furnished
from tests.serving import serving

PASSWORD = "correct horse battery"
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
PEOPLE = sorted(INSIDE - {Role.ADMIN, Role.DISPLAY})
"""Every inside role that one person may have together."""


@dataclass
class Sites:
    """The API, the ids of what there is at either site by kind, and who belongs to which."""

    app: FastAPI
    client: httpx.Client
    home: dict[str, int]
    far: dict[str, int]
    plant: Plant

    def token(self, login: str) -> dict[str, str]:
        answer = self.client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for path, methods in api_description()["paths"].items():
            for method, operation in methods.items():
                if path.startswith("/api/v1/"):
                    yield method.upper(), path.removeprefix("/api/v1"), operation


@pytest.fixture
def sites(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    plant = build(engine)
    home, far = (Furnished(plant, name, NOW).ids for name in ("near", "distant"))

    def people(u: Unit) -> None:
        own, other = Place(site_ids=(home["site"],)), Place(site_ids=(far["site"],))
        create_user(u, "reader", "Reader", PASSWORD, ["auditor", "admin"], place=own)
        create_user(u, "boss", "Boss", PASSWORD, PEOPLE, place=own)
        create_user(u, "manager", "Manager", PASSWORD, ["admin"], place=own)
        create_user(u, "whole", "Whole", PASSWORD, PEOPLE)
        create_user(u, "chief", "Chief", PASSWORD, ["admin"])
        create_user(u, "carrier", "Carrier", PASSWORD, ["carrier"], place=Place(partner_id=1))
        home["user"] = create_user(u, "near.user", "N", PASSWORD, ["warehouse"], place=own).id
        far["user"] = create_user(u, "distant.user", "D", PASSWORD, ["warehouse"], place=other).id

    plant.act("setup", NOW, people)
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    app = create_app(settings, engine, run_background=False)
    with serving(app) as client:
        yield Sites(app, client, home, far, plant)
