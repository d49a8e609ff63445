"""What passes for a value and is none is refused, wherever it stands; and the API's description is valid OpenAPI."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import SecretStr
from sqlalchemy import Engine

from core.app import create_app
from core.erp.kernel import passwords
from core.erp.kernel.access.users import create_user
from core.erp.kernel.permits import PEOPLE, Role
from core.erp.kernel.unit import system, unit
from core.settings import Settings
from core.wiring import build_events
from lotwise.reference import api_description
from tests.serving import serving

PASSWORD = "correct horse battery"
ROLES = sorted(PEOPLE - {Role.ADMIN})
"""Every inside role that one person may have together."""
HIDDEN = ("A\u202e1", "A\u200b1", "A\x001", "A\u00071", "A\ufeff1", "A\u2066x\u20691", "A\u00ad1", "\x1b[2J")


@pytest.fixture
def app(engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FastAPI:
    cheap = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr(passwords, "hasher", lambda: cheap)
    with unit(engine, system("test"), build_events()) as u:
        create_user(u, "all", "All", PASSWORD, ROLES)
        create_user(u, "admin", "Admin", PASSWORD, ["admin"])
    settings = Settings(instance="test", secret_key=SecretStr("s" * 40), data_dir=tmp_path)
    return create_app(settings, engine, run_background=False)


@pytest.fixture
def client(app: FastAPI) -> Iterator[httpx.Client]:
    with serving(app) as client:
        yield client


def signed_in(client: httpx.Client, login: str) -> dict[str, str]:
    answer = client.post("/api/v1/token", data={"username": login, "password": PASSWORD})
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def bodies() -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """(method, path with ids of nothing, example of a body, its shape) of every act with a JSON body."""
    said = api_description()
    shapes = said["components"]["schemas"]
    for path, operations in said["paths"].items():
        for method, operation in operations.items():
            media = operation.get("requestBody", {}).get("content", {}).get("application/json")
            gateways = path == "/api/v1/alert-replies"  # opened by a token of its own: alerting_replies_test
            if media is not None and path.startswith("/api/v1") and not gateways:
                shape = media["schema"]
                while "properties" not in shape:
                    options = [one for one in (shape, *shape.get("anyOf", ())) if "$ref" in one]
                    shape = shapes[options[0]["$ref"].rpartition("/")[2]]
                where = path
                for name in ("gateway", "epoch", "source", "serial", "code"):
                    where = where.replace(f"{{{name}}}", "x")
                where = where.replace("{kind}", "high")
                yield method.upper(), re.sub(r"\{[^}]*\}", "999999", where), media["example"], shape


def kinds(shape: dict[str, Any]) -> set[str]:
    """Types of a field, by their names; a text of some format is `format`, since a length may be said in seconds."""
    found = {("format" if "format" in one else str(one.get("type"))) for one in (shape, *shape.get("anyOf", ()))}
    return found - {"null", "None"}


WRONG: dict[frozenset[str], tuple[Any, ...]] = {
    frozenset({"integer"}): (True, "1", 1.0, 1.5, -1, 2**70),
    frozenset({"number"}): (True, "1", 1e308, -1e308),
    frozenset({"boolean"}): ("true", 1, "yes"),
    frozenset({"string"}): (*HIDDEN[:3], 1, True),
    frozenset({"array"}): ([True], "x"),
}


@pytest.mark.timeout(300)
def test_what_passes_for_a_number_or_hides_itself_is_refused_in_every_field(client: httpx.Client) -> None:
    """Each field of each body, with everything else as in its example: refused, and refused for that field."""
    everybody = [signed_in(client, login) for login in ("all", "admin")]
    tried = 0
    for method, path, example, shape in bodies():
        may = everybody
        for name, field in shape["properties"].items():
            for value in WRONG.get(frozenset(kinds(field)), ()):
                body = example | {name: value}
                answers = [(who, client.request(method, path, json=body, headers=who)) for who in may]
                may = [who for who, answer in answers if answer.status_code != 403]  # by permit: no body changes it
                for _, answer in answers:
                    if answer.status_code != 403:
                        assert answer.status_code == 422, (method, path, name, value, answer.text)
                        assert name in answer.text, (method, path, name, value, answer.text)
                        tried += 1
    assert tried > 500, "the test tries what it says"


def test_numbers_and_codes_show_what_they_are(client: httpx.Client) -> None:
    who = signed_in(client, "all")
    for text in HIDDEN:
        for body in ({"item_id": 1, "number": text}, {"item_id": 1, "number": "A", "maker": text}):
            answer = client.post("/api/v1/lots", json=body, headers=who)
            assert (answer.status_code, "nobody sees" in answer.text) == (422, True), text
    for fine in ("批号-7", "Größe 3", "ل-7", "A 1\tB"):
        answer = client.post("/api/v1/lots", json={"item_id": 1, "number": fine}, headers=who)
        assert "nobody sees" not in answer.text


@pytest.mark.parametrize("day", ["0001-01-01", "1999-12-31", "2200-01-01", "9999-12-31", "2027-02-30", 1, True])
def test_an_expiry_that_cannot_be_meant_is_refused(client: httpx.Client, day: object) -> None:
    who = signed_in(client, "all")
    answer = client.post("/api/v1/lots", json={"item_id": 1, "number": "A", "expiry": day}, headers=who)
    assert answer.status_code == 422
    use_by = {"kind": "use_by", "value": {"date": day}, "reason": "x"}
    assert client.post("/api/v1/sublots/1/restrict", json=use_by, headers=who).status_code == 422


@pytest.mark.parametrize("value", [1e308, -1e308, -274, 5001, "8", True])
def test_a_temperature_that_nothing_has_is_refused(client: httpx.Client, value: Any) -> None:
    admin, engineer = signed_in(client, "admin"), signed_in(client, "all")
    zone = {"site_id": 1, "address": "n/s/c", "name": "C"}
    for name in ("band_low", "band_high", "worst_temperature"):
        assert client.post("/api/v1/zones", json=zone | {name: value}, headers=admin).status_code == 422
        assert client.patch("/api/v1/zones/1", json={name: value}, headers=admin).status_code == 422
    limit = {"key": "high", "op": ">", "threshold": value, "kind": "instant"}
    for unit_of in ("Cel", "K", "[degF]"):
        scaled = value if isinstance(value, str | bool) else value - 300
        body = {"allowed_gap": "PT30M", "limits": [limit | {"unit": unit_of, "threshold": scaled}]}
        answer = client.post("/api/v1/profiles/1/versions", json=body, headers=engineer)
        assert answer.status_code == (404 if scaled == 4701 else 422), (unit_of, scaled)
    point = {"zone_id": 1, "address": "n/s/c/p/temperature", "quantity": "temperature", "unit": "Cel"}
    assert client.post("/api/v1/points", json=point | {"plausible_high": value}, headers=engineer).status_code == 422


def test_every_filter_by_a_state_or_a_kind_knows_its_words(client: httpx.Client) -> None:
    who, tried = signed_in(client, "all"), set()
    for path, operations in api_description()["paths"].items():
        for parameter in operations.get("get", {}).get("parameters", ()):
            name = parameter["name"]
            if parameter["in"] != "query" or "{" in path:
                continue
            if name == "kind" and path.startswith(("/api/v1/tasks", "/api/v1/deadlines")):
                continue  # modules declare their own kinds of these: there is no list of words
            if name in {"state", "kind", "certainty", "purpose"}:
                answer = client.get(path, params={name: "xx"}, headers=who)
                tried.add((path, name))
            elif name.endswith("_id") and name != "entity_id":
                wrong = ("true", "1.0", " 1", "-1", "x")
                answers = [client.get(path, params={name: one}, headers=who) for one in wrong]
                assert {one.status_code for one in answers} == {422}, (path, name)
                continue
            else:
                continue
            assert (answer.status_code, "xx" in answer.text or name in answer.text) == (422, True), (path, name)
    assert ("/api/v1/shipments", "state") in tried
    assert len(tried) >= 10


def test_ids_in_paths_are_digits(client: httpx.Client) -> None:
    who = signed_in(client, "all")
    for wrong in ("true", "1.0", "%201", "0", "-1", "1e3", "99999999999999999999", "١"):
        assert client.get(f"/api/v1/sublots/{wrong}", headers=who).status_code == 422, wrong


def arrays(shape: Any) -> Iterator[dict[str, Any]]:
    if isinstance(shape, dict):
        if shape.get("type") == "array":
            yield shape
        shape = list(shape.values())
    if isinstance(shape, list):
        for one in shape:
            yield from arrays(one)


def without_repetitions(description: dict[str, Any]) -> dict[str, Any]:
    """The description, in which each answer and each parameter that several operations share is said by one of them."""
    seen: set[str] = set()

    def new(part: Any) -> bool:
        before, text = len(seen), json.dumps(part, sort_keys=True)
        seen.add(text)
        return len(seen) > before

    def shortened(operation: dict[str, Any]) -> dict[str, Any]:
        parameters = [one for one in operation.get("parameters", ()) if one["in"] == "path" or new(one)]
        answers = {status: one for status, one in operation["responses"].items() if new(one) or status < "300"}
        return operation | {"parameters": parameters, "responses": answers}

    paths = {
        path: {method: shortened(operation) for method, operation in operations.items()}
        for path, operations in description["paths"].items()
    }
    return description | {"paths": paths}


def test_the_description_is_valid_openapi() -> None:
    said = api_description()
    assert list(OpenAPIV31SpecValidator(without_repetitions(said)).iter_errors()) == []
    assert all("items" in one for one in arrays(said)), "generators of clients want to know of what a list is"
    assert said["paths"]["/api/v1/ingest/lag"]["get"]["responses"]["200"]
