"""Boards and alert rules brought into a Grafana: what is ours is renewed, what people changed is kept and told.

A board's newest version carries, as its message, the fingerprint of what was pushed; an alert rule carries it among its
annotations. Another message, or another content, is somebody's edit.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from core.outbound.grafana_client import GrafanaApi, GrafanaFault
from dashboards.alerts import (
    FOLDER,
    FOLDER_TITLE,
    GROUP,
    RULES,
    AlertRule,
    contact_bodies,
    mute_bodies,
    policy_body,
    rule_body,
)
from dashboards.build import BOARDS, board
from dashboards.sources import ERP, METRICS, TELEMETRY, TYPES, Store
from lotwise.boards.comparing import differences, fingerprint

MARK = "lotwise"
_OURS = re.compile(rf"{MARK} ([0-9a-f]{{16}})")
PRINT = "lotwise_fingerprint"
"""The annotation of an alert rule that tells what was pushed."""
LEAST_VERSION = 10
State = Literal["absent", "same", "older", "edited", "provisioned"]


@dataclass(frozen=True, slots=True)
class Found:
    """One board or rule as it stands in Grafana beside ours."""

    name: str
    state: State
    lines: tuple[str, ...] = ()
    """What differs."""
    by: str = ""
    """Who saved it last, and when."""
    version: int = 0
    ours: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Boards:
    """The boards of a store, and a Grafana; `pages` is where its links lead."""

    api: GrafanaApi
    store: Store
    pages: str | None = None

    def wanted(self, name: str) -> dict[str, Any]:
        """A board as it is pushed."""
        made = board(name, self.store)
        if self.pages is not None:
            for variable in made["templating"]["list"]:
                if variable["name"] == "lotwise":
                    variable["query"] = self.pages
        return made

    def found(self) -> Iterator[Found]:
        """Every board, in the order of `BOARDS`. Raises GrafanaFault."""
        for name in BOARDS:
            yield self._found(name)

    def _found(self, name: str) -> Found:
        ours = self.wanted(name)
        there = self.api.found(f"/dashboards/uid/{ours['uid']}")
        if there is None:
            return Found(name, "absent", ours=ours)
        meta, theirs = there["meta"], there["dashboard"]
        lines = tuple(differences(ours, theirs))
        version = int(meta.get("version") or theirs.get("version") or 0)
        by = f"{meta.get('updatedBy') or 'somebody'}, {meta.get('updated') or 'at an unknown time'}"
        if meta.get("provisioned"):
            return Found(name, "provisioned", lines, by, version, ours)
        pushed = self._pushed(str(ours["uid"]))
        if pushed is None:
            return Found(name, "edited" if lines else "same", lines, by, version, ours)
        return Found(name, "same" if pushed == fingerprint(ours) else "older", lines, by, version, ours)

    def _pushed(self, uid: str) -> str | None:
        """The fingerprint that the newest version was pushed with; None if it was saved by somebody else."""
        answer = self.api.get(f"/dashboards/uid/{uid}/versions?limit=1")
        versions = answer.get("versions", []) if isinstance(answer, Mapping) else answer
        match = _OURS.fullmatch(str(versions[0].get("message") or "")) if versions else None
        return match[1] if match else None

    def push(self, found: Found, *, force: bool) -> None:
        """Writes one board. Raises GrafanaFault, with status 412 if somebody saved it since it was looked at."""
        body = {
            "dashboard": {**found.ours, "id": None, "version": found.version},
            "folderUid": FOLDER,
            "message": f"{MARK} {fingerprint(found.ours)}",
            "overwrite": force,
        }
        self.api.post("/dashboards/db", body)

    def make_folder(self) -> None:
        """The folder, if it is not there."""
        if self.api.found(f"/folders/{FOLDER}") is None:
            self.api.post("/folders", {"uid": FOLDER, "title": FOLDER_TITLE})

    def problems(self) -> Iterator[str]:
        """What of this Grafana would keep the boards from showing something."""
        version = str(self.api.get("/health").get("version", ""))
        number = version.partition(".")[0]
        if not number.isdigit() or int(number) < LEAST_VERSION:
            yield f"Grafana {version or 'of an unknown version'}: the boards need {LEAST_VERSION} or newer"
        self.api.get("/search?type=dash-db&limit=1")  # a wrong token is told before all else
        for uid in (ERP, *([TELEMETRY] if self.store is Store.INFLUX else []), METRICS):
            yield from self._of_source(uid)

    def _of_source(self, uid: str) -> Iterator[str]:
        try:
            source = self.api.found(f"/datasources/uid/{uid}")
        except GrafanaFault as fault:
            if fault.status != 403:  # noqa: PLR2004 - HTTP's
                raise
            yield f"data source {uid}: the token may not look at it"
            return
        if source is None:
            yield f"data source {uid} is missing (its settings: dashboards/provisioning/datasources)"
            return
        kind = str(source.get("type"))
        if TYPES[uid] not in kind:
            yield f"data source {uid} is of type {kind}, not {TYPES[uid]}"
            return
        try:
            health = self.api.get(f"/datasources/uid/{uid}/health")
        except GrafanaFault as fault:
            yield f"data source {uid} does not work: {fault}"
            return
        if str(health.get("status", "OK")).upper() != "OK":
            yield f"data source {uid} does not work: {health.get('message')}"


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alert rules, and what tells of them, in a Grafana."""

    api: GrafanaApi

    def found(self) -> Iterator[Found]:
        """Every rule. Raises GrafanaFault."""
        for rule in RULES:
            yield self._found(rule)

    def _found(self, rule: AlertRule) -> Found:
        ours = rule_body(rule)
        ours["annotations"] = {**ours["annotations"], PRINT: fingerprint(_compared(ours))}
        there = self.api.found(f"/v1/provisioning/alert-rules/{rule.uid}")
        name = f"rule {rule.title}"
        if there is None:
            return Found(name, "absent", ours=ours)
        lines = tuple(differences(_compared(ours), _compared(there)))
        pushed = (there.get("annotations") or {}).get(PRINT)
        edited = pushed != fingerprint(_compared(there))
        state: State = "same" if not lines else ("edited" if edited else "older")
        return Found(name, state, lines, "somebody", ours=ours)

    def push(self, found: Found) -> None:
        """Writes one rule, so that people may change it."""
        if found.state == "absent":
            self.api.post("/v1/provisioning/alert-rules", found.ours, editable=True)
        else:
            self.api.put(f"/v1/provisioning/alert-rules/{found.ours['uid']}", found.ours, editable=True)

    def make_receivers(self, mail: str) -> list[str]:
        """Contact point, mute timing and our routes in the policy, each only where it is missing; says what it made."""
        made = []
        contacts = {point["name"] for point in self.api.get("/v1/provisioning/contact-points")}
        for body in contact_bodies():
            if body["name"] not in contacts:
                settings = {**body["settings"], "addresses": mail}
                self.api.post("/v1/provisioning/contact-points", {**body, "settings": settings}, editable=True)
                made.append(f"contact point {body['name']} ({mail})")
        mutes = {timing["name"] for timing in self.api.get("/v1/provisioning/mute-timings")}
        for body in mute_bodies():
            if body["name"] not in mutes:
                self.api.post("/v1/provisioning/mute-timings", body, editable=True)
                made.append(f"mute timing {body['name']}")
        tree = self.api.get("/v1/provisioning/policies")
        routes = list(tree.get("routes") or [])
        if not any(_of_ours(route) for route in routes):
            tree = {**tree, "routes": [*policy_body()["routes"], *routes]}
            self.api.put("/v1/provisioning/policies", tree, editable=True)
            made.append("routes for the label source=lotwise, before the others")
        return made


def _of_ours(route: Mapping[str, Any]) -> bool:
    return ["source", "=", "lotwise"] in (route.get("object_matchers") or [])


def _compared(rule: Mapping[str, Any]) -> dict[str, Any]:
    """What of a rule people change and we push; Grafana adds defaults to the rest."""
    annotations = {key: value for key, value in (rule.get("annotations") or {}).items() if key != PRINT}
    queries = {one["refId"]: one["model"].get("rawSql") for one in rule.get("data") or ()}
    kept = {
        key: rule.get(key) for key in ("title", "condition", "noDataState", "execErrState", "for", "isPaused", "labels")
    }
    return {**kept, "group": rule.get("ruleGroup", GROUP), "annotations": annotations, "queries": queries}
