"""`lotwise audit`: is the audit trail whole, and a new witness where the old one is lost."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Annotated

import typer
from pydantic import ValidationError
from rich.console import Console
from sqlalchemy import Engine, select, text

from core.erp.kernel.audit import Sealer, newest_seal
from core.erp.kernel.audit_verification import Finding, VerificationProgress, verify
from core.erp.kernel.model import AuditSeal
from core.erp.kernel.tables import table
from core.erp.kernel.trail.review import tell_verdict
from core.erp.kernel.unit import system, transact
from core.erp.kernel.witness import WITNESS_FILE, Head, Witness
from core.settings import Settings
from core.wiring import build_events
from lotwise.runtime import error_sentence, servers

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="The audit trail: verify it, or begin a new witness of it."
)
out = Console()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was read of the trail, and what is wrong with it. None read: there is no schema yet."""

    rows: int
    seals: int
    lag: int
    findings: list[Finding]

    @property
    def whole(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def sentence(self) -> str:
        """The verdict in words."""
        read = f"{self.rows} audit rows in {self.seals} seals"
        if not self.whole:
            return f"{read}: {len(self.findings)} findings"
        late = f"; the witness is {self.lag} seals behind, which the core catches up" if self.lag else ""
        return f"{read}: whole{late}"


def examine(engine: Engine, witness: Witness, now: datetime | None = None) -> Verdict:
    """Reads the whole trail as it stands at one instant."""
    checked = VerificationProgress()
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as conn:
        if conn.scalar(text("SELECT to_regclass('audit_seal')")) is None:
            return Verdict(0, 0, 0, [])
        findings = verify(conn, now, witness, checked)
    return Verdict(checked.rows, checked.seals, checked.lag, findings)


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise SystemExit(str(error)) from error


@app.command("verify")
def verify_trail(*, as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False) -> None:
    """Read every audit row, every seal and the witness; exit 1 if anything was edited, removed, added or cut.

    Rows that are newer than their seals are no finding here: a core that is down seals nothing.
    """
    conf = _settings()
    with error_sentence(), servers(conf, stream=False, user="audit verify") as found:
        engine = found.engine(1)
        verdict = examine(engine, Witness(conf.data_dir / WITNESS_FILE))
        if verdict.seals or verdict.findings:
            transact(engine, system("audit verify"), build_events(), lambda u: tell_verdict(u, verdict.findings))
        engine.dispose()
    if as_json:
        print(json.dumps({"whole": verdict.whole, **asdict(verdict)}))
    else:
        for finding in verdict.findings:
            out.print(f"[red]{finding.kind}[/red]: {finding.detail}", highlight=False)
        out.print(verdict.sentence(), highlight=False)
    raise typer.Exit(0 if verdict.whole else 1)


@app.command()
def adopt(reason: Annotated[str, typer.Option(help="Why the old witness is gone; it goes into the trail.")]) -> None:
    """Begin a witness where there is none: a new machine, or the file was lost. Checks the whole trail first.

    Whoever lost the file, or moved it, vouches by this for the trail as it stands: what was cut off before cannot be
    told any more. Refused while there is a witness, and for a trail that is not whole.
    """
    conf = _settings()
    witness = Witness(conf.data_dir / WITNESS_FILE)
    with error_sentence(), servers(conf, stream=False, user="audit adopt") as found:
        engine = found.engine(2)
        try:
            wrong = begin_witness(engine, witness, reason, datetime.now(UTC))
        finally:
            engine.dispose()
    if wrong is not None:
        out.print(wrong, highlight=False)
        raise typer.Exit(1)
    out.print(f"{witness.path} begins with {witness.last.number if witness.last else 0} seals", highlight=False)


def begin_witness(engine: Engine, witness: Witness, reason: str, now: datetime) -> str | None:
    """Writes a witness of all seals there are, and an audit row that says so; or why not."""
    if not reason.strip():
        return "to begin a new witness needs a reason"
    if witness.exists:
        return f"there is a witness: {witness.path}. Move it away first if it is of another database"
    with engine.connect() as conn:
        wrong = verify(conn)
        seals = table(AuditSeal)
        heads = [Head(*row) for row in conn.execute(select(seals.c.number, seals.c.hash).order_by(seals.c.number))]
        last = newest_seal(conn)
    if wrong:
        return f"the trail is not whole: {wrong[0].kind}: {wrong[0].detail} ({len(wrong)} findings)"
    transact(
        engine,
        system("command line"),
        build_events(),
        lambda u: u.audit("audit.adopt", "audit", last.number, after={"seals": last.number}, reason=reason),
        now,
    )
    witness.begin(now)
    witness.append(heads)
    Sealer(engine, witness).seal(now)
    return None
