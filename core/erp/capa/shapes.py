"""Wire shapes of CAPA."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field

from core.erp.kernel.shapes import Answer, Body, Login, Ref, SignIn, Text, Who
from core.erp.kernel.strict import Day

Kind = Literal["corrective", "preventive"]
Source = Literal["deviation", "incident", "complaint", "audit_finding", "other"]
CauseMethod = Literal["five_whys", "fishbone", "fault_tree", "fmea", "other"]
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=r"\S")]


class CapaIn(Body):
    """What went wrong or could, and where that is known from: a deviation, an incident, or what `reference` calls."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "site_id": 1,
                    "kind": "corrective",
                    "source": "deviation",
                    "deviation_id": 7,
                    "title": "Goods left at the dock",
                    "problem": "Two pallets stood at the dock for 50 min: nobody was told that they had arrived.",
                }
            ]
        }
    )
    site_id: Ref
    kind: Kind
    source: Source
    reference: Annotated[str, Field(max_length=200, examples=["audit 2026-03, finding 4"])] = ""
    deviation_id: Ref | None = None
    incident_id: Ref | None = None
    title: Title
    problem: Text


class CapaChange(Body):
    """What changes before the plan is signed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"criterion": "no pallet at the dock for more than 15 min", "check_on": "2026-09-01"}]
        }
    )
    title: Title | None = None
    problem: Text | None = None
    criterion: Annotated[Text | None, Field(description="by what it will be seen that it was effective")] = None
    check_on: Annotated[Day | None, Field(description="the day from which that is judged")] = None


class CauseIn(Body):
    """Why it happened, and how that was found."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"cause_method": "five_whys", "cause": "arrivals are told by radio only"}]}
    )
    cause_method: CauseMethod
    cause: Text


class PlanIn(SignIn):
    """The signature on cause, actions, criterion and its day."""

    reason: Text = "cause, actions and criterion reviewed"


class CheckIn(SignIn):
    """The signature on what was found, laid beside the criterion."""

    finding: Text


class ActionIn(Body):
    """What somebody is to do, by the end of a day at the site."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"capa_id": 1, "what": "put a bell at the dock", "owner": "wes", "due_on": "2026-04-30"}]
        }
    )
    capa_id: Ref
    what: Text
    owner: Login
    due_on: Day


class ActionChange(Body):
    """What changes of an action before the plan is signed."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"due_on": "2026-05-15"}]})
    what: Text | None = None
    owner: Login | None = None
    due_on: Day | None = None


class ResultIn(Body):
    """What was done."""

    result: Text


class PlanOut(Answer):
    """A plan as it was signed."""

    id: int
    signed_by: str
    signed_at: AwareDatetime
    signature_id: int
    record: dict[str, Any]


class CheckOut(Answer):
    """Whether a plan was effective, by signature."""

    id: int
    plan_id: int
    effective: bool
    finding: str
    signed_by: str
    signed_at: AwareDatetime
    signature_id: int


class ActionOut(Answer):
    """An action, with the number of what it is of."""

    id: int
    capa_id: int
    capa: str
    what: str
    owner: Who
    due_on: date
    state: Literal["open", "done", "verified", "dropped"]
    result: str | None
    done_by: str | None
    done_at: AwareDatetime | None
