"""`lotwise serve`: the API and the pages over HTTP."""

from functools import partial

import uvicorn
from rich.console import Console

from core.app import create_app
from core.erp.migrations import upgrade
from core.ingest.taking import take_file
from core.settings import Settings
from core.web.pages import install_pages
from lotwise.runtime import in_words, servers, with_secret


def serve(settings: Settings, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT. Raises SystemExit(2) with the reason where settings forbid a start."""
    settings = with_secret(settings)
    try:
        settings.signing_key()
    except ValueError as error:
        Console().print(f"cannot start: {error}", markup=False)
        raise SystemExit(2) from error
    with in_words(), servers(settings, stream=False, user="serve", listens=f"http://{host}:{port}") as found:
        engine = found.engine(20)
        upgrade(engine)
        app = create_app(settings, engine)
        install_pages(app, partial(take_file, live=settings.instance == "live"))
        uvicorn.run(app, host=host, port=port, log_level=settings.log_level.lower(), access_log=False)
        engine.dispose()
