"""Options that commands of the edge share. Nothing heavy is imported: the command line reads this at every start."""

from datetime import timedelta
from typing import Annotated

import typer

DEFAULT_CORE = "http://127.0.0.1:8080"
STANDARD_BANDS: dict[str, tuple[float, float]] = {
    "refrigerated": (2.0, 8.0),
    "freezer": (-25.0, -10.0),
    "room": (20.0, 25.0),
    "ultra-cold": (-90.0, -60.0),
}
"""Label conditions in °C: refrigerated, freezer, controlled room temperature (USP <659>), ultra-cold."""
OFFERED = ", ".join(f"{name} {low:g}..{high:g}" for name, (low, high) in STANDARD_BANDS.items())
_UNITS = {"min": 60, "s": 1, "h": 3600}

CoreOption = Annotated[
    str | None,
    typer.Option("--core", "--api", envvar="LOTWISE_API", help=f"Where the core is, such as {DEFAULT_CORE}."),
]
LoginOption = Annotated[
    str | None,
    typer.Option("--login", envvar="LOTWISE_LOGIN", help="Who signs in there (password: asked, or LOTWISE_PASSWORD)."),
]
BandOption = Annotated[
    list[str] | None,
    typer.Option(help=f"A zone's band: LOW..HIGH Cel, ZONE=LOW..HIGH Cel, profile:CODE, or one of {OFFERED}."),
]
DelayOption = Annotated[str, typer.Option(help="How long a zone may be out of its band before the alarm: 0s, 5min.")]
GapOption = Annotated[str, typer.Option(help="How long a zone may be silent before the alarm.")]
SiteZoneOption = Annotated[
    str | None, typer.Option(help="The site's time zone, such as Europe/Berlin: what day it is when goods expire.")
]
RequiredOption = Annotated[
    list[str] | None, typer.Option(help="Points by which the zone is judged, by address or pattern (*/probe-1/*).")
]
RecordedOption = Annotated[
    list[str] | None, typer.Option(help="Points that are recorded and not judged by, by address or pattern.")
]
YesOption = Annotated[bool, typer.Option("--yes", help="Make it without asking, guesses included.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show what would be made.")]


def span(text: str) -> timedelta:
    """A length of time such as 30s, 5 min or 1h. Raises typer.BadParameter."""
    compact = text.replace(" ", "")
    for unit, seconds in sorted(_UNITS.items(), key=lambda pair: -len(pair[0])):
        number = compact.removesuffix(unit)
        if number != compact and number.replace(".", "", 1).isdecimal():
            return timedelta(seconds=float(number) * seconds)
    raise typer.BadParameter(f"{text!r} is no length of time such as 30s, 5min or 1h")
