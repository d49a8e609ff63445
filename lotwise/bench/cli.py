"""`lotwise bench`: speed and memory, measured on this machine."""

from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="Measure speed and memory; one JSON object per figure and line.")


@app.command()
def ingest(readings: Annotated[int, typer.Option(min=1000, help="How many readings.")] = 1_000_000) -> None:
    """Stream → series → judged, over 200 zones, 20 profiles, 10 000 sublots."""
    from lotwise.bench.ingest import run

    run(readings)
