"""Shapes of the wire of access: users, composed roles, and which permits there are."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from core.erp.kernel.access.users import Place
from core.erp.kernel.records import Link
from core.erp.kernel.shapes import Answer, Body, Ref, Text

Secret = Annotated[SecretStr, Field(max_length=1024)]
"""A password in a body: what is longer than any may be is not even hashed."""
Language = Literal["", "en", "zh"]
"""The language somebody reads; empty: the browser's."""
Codes = Annotated[list[str], Field(min_length=1, max_length=100, examples=[["warehouse"]])]
"""Codes of roles, default or composed."""
Permits = Annotated[list[str], Field(min_length=1, max_length=500, examples=[["stock.read", "stock.move"]])]


class UserOut(Answer):
    """Somebody who signs in."""

    id: int
    login: str
    name: str
    roles: list[str]
    proposed_roles: list[str] = Field(
        description="sign or manage users, and count once a second person has approved them"
    )
    proposed_by: str | None
    active: bool
    site_ids: Annotated[list[int], Link("site")] = Field(description="sites the user belongs to; none: all of them")
    partner_id: int | None = Field(description="whose person this is, outside")
    language: str = Field(description="the language chosen; empty: the browser's", examples=["en"])
    created_at: AwareDatetime


class PlaceIn(Body):
    """Where a user belongs: to sites (none: to all of them), or with an outside role to a partner."""

    site_ids: Annotated[list[Ref], Link("site")] = Field(default_factory=list, max_length=1000)
    partner_id: Ref | None = None
    language: Language = ""

    def place(self) -> Place:
        """As the service takes it."""
        return Place(tuple(self.site_ids), self.partner_id, self.language)


class UserIn(Body):
    """A new user. The password is a one-time one: its owner chooses another at the first sign-in (POST /password)."""

    login: Annotated[str, Field(pattern=r"^[A-Za-z0-9._@-]{1,64}$", examples=["storekeeper"])]
    name: Text
    password: Secret
    roles: Codes
    place: PlaceIn = Field(default_factory=PlaceIn)


class UserChange(Body):
    """What to change of a user; what is left out stays. A password given here is a one-time one."""

    roles: list[str] | None = Field(None, max_length=100, examples=[["warehouse"]])
    active: bool | None = None
    password: Secret | None = None
    place: PlaceIn | None = None


class LanguageIn(Body):
    """A choice of one's own."""

    language: Language


class RoleIn(Body):
    """A role composed of permits; with a code that is there already, its next edition."""

    code: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$", examples=["night_storekeeper"])]
    name: Text
    permits: Permits
    outside: bool = Field(False, description="for people of a partner, who hold only what is open to them")


class RoleChange(Body):
    """What to change of a draft; what is left out stays."""

    name: Text | None = None
    permits: Permits | None = None
    outside: bool | None = None


class PermitOut(BaseModel):
    """A permit, and the default roles that hold it."""

    name: str
    roles: list[str]
    signing: bool = Field(description="its acts are signed: giving it to somebody takes a second person")
    outside: bool = Field(description="may be given to a role of outside people")
