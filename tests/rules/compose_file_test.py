"""docker-compose.yml, Dockerfile, .env.example: valid by the compose schema, and by what a schema cannot see."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from lotwise.cli import app

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = ROOT / "tests" / "services" / "compose_spec" / "compose-spec.json"
ONE_SHOT = {"secrets", "migrate"}
NODES = ("nats", "nats-2", "nats-3")
NAMED_IN_THE_ISSUE = {"nats", "influxdb", "postgres", "grafana", "core", "ingest", "edge", "simulators"}
_SECRET = re.compile(r"PASSWORD|TOKEN|SECRET|_KEY$")
_REQUIRED = re.compile(r"\$\{[A-Z_]+:\?[^}]+\}")
_VARIABLE = re.compile(r"\$\{([A-Z_]+)")


def load(path: Path) -> Any:
    return YAML(typ="safe", pure=True).load(path)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The file as compose sees it, merge keys resolved."""
    found: dict[str, Any] = json.loads(json.dumps(load(ROOT / "docker-compose.yml")))
    return found


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_file_fits_the_compose_schema(compose: dict[str, Any], validator: jsonschema.Draft202012Validator) -> None:
    assert [error.message for error in validator.iter_errors(compose)] == []


@pytest.mark.parametrize(
    "spoil",
    [
        {"image": 7},
        {"healthcheck": {"test": 5}},
        {"depends_on": {"nats": {"condition": "healthy"}}},
        {"port": ["1:1"]},
        {"restart": True},
    ],
)
def test_the_schema_finds_what_is_wrong(
    compose: dict[str, Any], validator: jsonschema.Draft202012Validator, spoil: dict[str, Any]
) -> None:
    wrong = {**compose, "services": {**compose["services"], "core": {**compose["services"]["core"], **spoil}}}
    assert list(validator.iter_errors(wrong))


def test_every_service_of_the_issue_is_there(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) >= NAMED_IN_THE_ISSUE
    assert compose["services"]["simulators"]["profiles"] == ["simulators"]


def test_the_cluster_profile_makes_three_nodes_that_know_each_other(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert [services[name].get("profiles") for name in NODES] == [None, ["cluster"], ["cluster"]]
    stores = [services[name]["volumes"] for name in NODES]
    assert len({volume for volumes in stores for volume in volumes}) == len(NODES), "a store for each"
    for name in NODES:
        said = services[name]["environment"]
        assert said["LOTWISE_NATS_NODE"] == name
        hosts = [said[f"LOTWISE_NATS_ROUTE_{n}"].split("@")[1] for n in (1, 2, 3)]
        assert hosts == [f"{node}:6222" for node in NODES]
        chosen = "${LOTWISE_NATS_CONFIG:-stream}" if name == "nats" else "cluster"
        assert services[name]["command"][1] == f"/etc/nats/{chosen}.conf"
    for name in ("core", "ingest", "edge"):
        said = services[name]["environment"]
        assert (said["LOTWISE_NATS_URL"], said["LOTWISE_NATS_REPLICAS"]) == (
            "${LOTWISE_NATS_URL:-nats://nats:4222}",
            "${LOTWISE_NATS_REPLICAS:-1}",
        )
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert ",".join(f"nats://{node}:4222" for node in NODES) in example


def test_dependencies_networks_and_volumes_exist(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for other, how in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            if how["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for the health of {other}"
            else:
                assert other in ONE_SHOT
            if "profiles" not in service:
                assert "profiles" not in services[other], f"{name} waits for {other}, which a profile may leave out"
        assert set(service.get("networks", [])) <= set(compose["networks"])
        for volume in service.get("volumes", []):
            source = re.sub(r"^\$\{[A-Z_]+:-([^}]+)\}", r"\1", volume).split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), f"{name} mounts {source}"
            else:
                assert source in compose["volumes"]


def test_every_lasting_service_has_a_health_check(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if name in ONE_SHOT:
            assert service["restart"] == "no"
            continue
        check = service["healthcheck"]
        assert check["test"][0] == "CMD", f"{name}: without a shell"
        assert {"interval", "timeout", "retries", "start_period"} <= set(check)


def test_nobody_is_root_and_nothing_gains_rights(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        user = str(service["user"]).split(":")[0]
        assert user not in {"root", "0", ""}, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not service.get("privileged"), name
        if service["image"].startswith("lotwise/"):
            assert service["read_only"] is True, name


def test_no_secret_is_written_down_or_has_a_default(compose: dict[str, Any]) -> None:
    checked = 0
    for name, service in compose["services"].items():
        for key, value in service.get("environment", {}).items():
            if _SECRET.search(key) and key != "LOTWISE_GRAFANA_TOKEN":
                assert _REQUIRED.fullmatch(str(value)), f"{name}: {key}={value}"
                checked += 1
            if "://" in str(value) and "@" in str(value):
                password = str(value).split("//")[1].split("@")[0].split(":", 1)[1]
                assert _REQUIRED.fullmatch(password), f"{name}: {key}"
                checked += 1
    assert checked > 20
    # the one optional secret: without it nothing is annotated
    assert compose["services"]["core"]["environment"]["LOTWISE_GRAFANA_TOKEN"] == "${LOTWISE_GRAFANA_TOKEN:-}"


def test_everything_waits_for_the_check_of_the_secrets(compose: dict[str, Any]) -> None:
    services = compose["services"]

    def waits(name: str) -> bool:
        depends = services[name].get("depends_on", {})
        return "secrets" in depends or any(waits(other) for other in depends)

    assert {name for name in services if name not in {"secrets", "broker"} and not waits(name)} == set()
    checked = set(services["secrets"]["command"])
    used = {
        variable
        for service in services.values()
        for key, value in service.get("environment", {}).items()
        for variable in _VARIABLE.findall(str(value))
        if _SECRET.search(variable) and variable != "LOTWISE_GRAFANA_TOKEN"
    }
    assert used == checked == set(services["secrets"]["environment"])


def test_the_example_names_every_variable_and_gives_no_secret(compose: dict[str, Any]) -> None:
    pairs = dict(
        line.split("=", 1)
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    )
    used = set(_VARIABLE.findall((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))
    assert set(pairs) == used
    assert {pairs[name] for name in compose["services"]["secrets"]["command"]} == {"change-me"}
    ignored = (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
    assert ".env" in ignored


def test_ports_are_published_on_this_machine_alone(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port}"


def test_the_floor_reaches_the_gateway_and_nothing_else(compose: dict[str, Any]) -> None:
    on = {name: set(service.get("networks", [])) for name, service in compose["services"].items()}
    assert {name for name, networks in on.items() if "floor" in networks} == {"edge", "broker", "simulators"}
    assert "inner" not in on["edge"]
    assert {name for name, networks in on.items() if "edge" in networks} == {"edge", *NODES}
    assert compose["networks"]["inner"]["internal"]
    assert compose["networks"]["edge"]["internal"]


def test_our_images_are_targets_of_the_one_dockerfile(compose: dict[str, Any]) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stages = {match[2]: match[1] for match in re.finditer(r"^FROM (\S+) AS (\w+)$", text, re.MULTILINE)}
    bodies = dict(zip(stages, re.split(r"^FROM .*$", text, flags=re.MULTILINE)[1:], strict=True))
    for name, service in compose["services"].items():
        if service["image"].startswith("lotwise/"):
            target = service["build"]["target"]
            assert target in stages, name
            stage = target
            while "USER" not in bodies[stage]:
                stage = stages[stage]
            assert re.search(r"^USER 10001:10001$", bodies[stage], re.MULTILINE), f"{target} runs as somebody"
    assert "uv sync --frozen --no-dev" in text
    assert len(stages) > 2
    for source in re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", text, re.MULTILINE):
        for path in source.split():
            assert (ROOT / path).exists(), path


@pytest.mark.parametrize("target", ["core", "ingest", "edge", "simulators", "tool"])
def test_the_images_commands_exist(target: str) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    stage = text.split(f"AS {target}\n", 1)[1].split("\nFROM ", 1)[0]
    command = json.loads(re.findall(r"^CMD (.+)$", stage, re.MULTILINE)[0])
    words = [word for word in command if not word.startswith("/")]
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0, result.output
