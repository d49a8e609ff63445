"""Routes of the trail's verifications and reviews; the trail itself is read as records are."""

from fastapi import Request
from fastapi.responses import JSONResponse

from core.erp.kernel.audit_verification import VerificationProgress, verify
from core.erp.kernel.door import needs, routes
from core.erp.kernel.http import Door
from core.erp.kernel.trail import review
from core.erp.kernel.trail.shapes import ReviewIn, ReviewOut, ReviewSignedOut, VerificationOut
from core.erp.kernel.unit import Unit
from core.erp.kernel.witness import WITNESS_FILE, Witness

router = routes(tags=["audit"])


@router.get("/audit-reviews")
@needs("audit.read")
def reviews(door: Door) -> list[ReviewOut]:
    """The newest reviews of the audit trail: which period, by whom, and when the next is due."""
    return door.read(lambda u: [ReviewOut.model_validate(one) for one in review.reviews(u)])


@router.post("/audit-reviews", status_code=201, response_model=ReviewSignedOut)
@needs("audit.review")
async def sign_review(body: ReviewIn, door: Door) -> JSONResponse:
    """Signs that a period of the trail was reviewed; it was verified after the period's end. The next has its task."""
    act = review.signing(body.start, body.stop, body.next_due, body.reason)
    return await door.sign(act, body, lambda _, signed: ReviewSignedOut(signature_id=signed), status=201)


@router.post("/audit-verifications", status_code=201, response_model=VerificationOut)
@needs("audit.review")
def verify_trail(request: Request, door: Door) -> JSONResponse:
    """Reads every row, every seal and the witness, and writes down what was found."""
    witness = Witness(request.app.state.settings.data_dir / WITNESS_FILE)
    checked = VerificationProgress()
    findings = door.look(lambda u: verify(u.conn, u.now, witness, checked))

    def work(u: Unit) -> VerificationOut:
        review.record_verification(u, findings, checked.rows, checked.seals)
        return VerificationOut(at=u.now, rows=checked.rows, seals=checked.seals, findings=len(findings))

    return door.post(work)
