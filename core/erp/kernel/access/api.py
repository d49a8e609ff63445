"""Routes of access that are no record: which permits there are, and one's own language."""

from fastapi.responses import JSONResponse

from core.erp.kernel.access.shapes import LanguageIn, PermitOut
from core.erp.kernel.access.users import choose_language
from core.erp.kernel.door import needs, routes, signed_in_only
from core.erp.kernel.http import Door
from core.erp.kernel.permits import declared
from core.erp.kernel.unit import Unit

router = routes()


@router.get("/permits", tags=["access"])
@needs("user.read")
def list_permits(door: Door) -> list[PermitOut]:
    """Every permit there is, with the default roles that hold it: what roles are composed of."""
    del door
    return [
        PermitOut(name=one.name, roles=sorted(one.roles), signing=one.signing, outside=one.outside)
        for _, one in sorted(declared().items())
    ]


@router.post("/me/language", tags=["sign in"], response_model=LanguageIn)
@signed_in_only()
def change_language(body: LanguageIn, door: Door) -> JSONResponse:
    """My own choice of a language; empty: the browser's. It holds from the next request."""

    def work(u: Unit) -> LanguageIn:
        choose_language(u, body.language)
        return body

    return door.post(work, status=200)
