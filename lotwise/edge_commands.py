"""`lotwise edge browse` and `lotwise edge catalog`."""

from pathlib import Path
from typing import Annotated

import typer

from lotwise.edge_options import (
    BandOption,
    CoreOption,
    DelayOption,
    DryRunOption,
    GapOption,
    LoginOption,
    RecordedOption,
    RequiredOption,
    SiteZoneOption,
    YesOption,
    span,
)


def browse(
    endpoint: Annotated[
        list[str],
        typer.Argument(
            help="mqtt://host, mqtts://host, modbus://host, opc.tcp://host:4840; with --file a source's name."
        ),
    ],
    *,
    write: Annotated[
        Path | None, typer.Option(help="Make this gateway file, or add to it what it does not read.")
    ] = None,
    zone: Annotated[
        list[str] | None,
        typer.Option(
            help="Zone of the devices: SITE/AREA/ZONE, or DEVICE=SITE/AREA/ZONE; {device} is the device's name."
        ),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="The source's name (and a Modbus device's); by default the host's.")
    ] = None,
    gateway: Annotated[str | None, typer.Option(help="The gateway's name in a new file.")] = None,
    user: str | None = None,
    password: Annotated[
        str | None,
        typer.Option(envvar=["LOTWISE_MQTT_PASSWORD", "LOTWISE_OPCUA_PASSWORD"], help="Of the broker or server."),
    ] = None,
    everything: Annotated[bool, typer.Option(help="What is no climate, and a server's own nodes, too.")] = False,
    simulated: Annotated[bool, typer.Option(help="Mark the source's readings as simulated, indelibly.")] = False,
    timezone: Annotated[str | None, typer.Option(help="Of devices whose times have no offset: Europe/Berlin.")] = None,
    topic: Annotated[list[str] | None, typer.Option(help="MQTT: topic filters to listen to. Default: all.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="MQTT: how long to listen; Ctrl-C ends it.")] = 60.0,
    ca: Annotated[Path | None, typer.Option(help="MQTT: certificates to trust (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(help="MQTT: our certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="MQTT: our key (PEM).")] = None,
    units: Annotated[str, typer.Option(help="Modbus: units to scan: 1, 1-8 or 1,5,17.")] = "1",
    registers: Annotated[
        list[str] | None, typer.Option(help="Modbus: TABLE:FIRST-LAST, 0-based. Default: input:0-31 and holding:0-31.")
    ] = None,
    timeout: Annotated[float, typer.Option(min=0.05, help="Modbus: seconds to wait for an answer.")] = 1.0,
    file: Annotated[
        Path | None, typer.Option(help="OPC UA: a gateway's file, whose source says how to get in.")
    ] = None,
    start: Annotated[str, typer.Option(help="OPC UA: the node to start at.")] = "i=85",
    catalog: Annotated[
        bool, typer.Option("--catalog", help="Make site, zones and points in a running core, too.")
    ] = False,
    core: CoreOption = None,
    login: LoginOption = None,
    band: BandOption = None,
    band_delay: DelayOption = "5min",
    allowed_gap: GapOption = "30min",
    site_timezone: SiteZoneOption = None,
    required: RequiredOption = None,
    recorded: RecordedOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Listen to a broker, scan a Modbus device, walk an OPC UA server; print what it has as a gateway file.

    What is printed is a whole gateway file. With --write the file is made, or what it does not read yet is added.
    """
    from lotwise.browsing import FAILURES, Wanted, failed, head, report
    from lotwise.browsing import browse as one
    from lotwise.catalog_plan import WantedPoint
    from lotwise.catalog_writer import CatalogOptions, make_catalog
    from lotwise.cli import settings
    from lotwise.edge_points import points_of_file

    asked = Wanted(
        name=name,
        zones=zone or (),
        user=user,
        password=password,
        everything=everything,
        simulated=simulated,
        timezone=timezone,
        topics=topic or ("#",),
        seconds=seconds,
        ca=ca,
        cert=cert,
        key=key,
        units=units,
        registers=registers or ("input:0-31", "holding:0-31"),
        timeout=timeout,
        start=start,
        file=file,
    )
    options = CatalogOptions(
        core,
        login,
        band or (),
        span(band_delay),
        span(allowed_gap),
        site_timezone,
        yes,
        dry_run,
        required or (),
        recorded or (),
    )
    if len(endpoint) > 1 and write is None:
        raise typer.BadParameter("several sources go into one file: say --write FILE")
    conf = settings()
    points: list[WantedPoint] = []
    try:
        for each in endpoint:
            found = one(each, asked, write if write is not None and write.exists() else None)
            site = found.points[0].address.split("/")[0] if found.points else ""
            file_head, note = head(conf, gateway, site)
            report(found, file_head, write if not dry_run else None)
            if note is not None:
                typer.echo(f"Note: {note}", err=True)
            points += [WantedPoint(p.address, p.quantity, p.unit, p.role, p.guesses) for p in found.points]
    except FAILURES as error:
        typer.echo(failed(error), err=True)
        raise typer.Exit(1) from error
    if not catalog:
        raise typer.Exit
    guesses = {point.address: point for point in points}
    if write is not None and not dry_run:
        in_file = points_of_file(write)
        if in_file is None:
            raise typer.Exit(1)
        points = [guesses.get(point.address, point) for point in in_file]
    raise typer.Exit(make_catalog(points, options))


def catalog(
    file: Annotated[Path, typer.Argument(help="The gateway's configuration.")],
    *,
    core: CoreOption = None,
    login: LoginOption = None,
    band: BandOption = None,
    band_delay: DelayOption = "5min",
    allowed_gap: GapOption = "30min",
    site_timezone: SiteZoneOption = None,
    required: RequiredOption = None,
    recorded: RecordedOption = None,
    yes: YesOption = False,
    dry_run: DryRunOption = False,
) -> None:
    """Make the site, zones and points that a gateway's file names in a running core, after asking.

    What is there already stays as it is: it can be run again at any time.
    """
    from lotwise.catalog_writer import CatalogOptions, make_catalog
    from lotwise.edge_points import points_of_file

    options = CatalogOptions(
        core,
        login,
        band or (),
        span(band_delay),
        span(allowed_gap),
        site_timezone,
        yes,
        dry_run,
        required or (),
        recorded or (),
    )
    points = points_of_file(file)
    raise typer.Exit(1 if points is None else make_catalog(points, options))
