"""The event stream: open pages are told which records have changed, and read them anew under their reader's permits."""

from fastapi import FastAPI

from core.web.live.fragments import Fragments, shared
from core.web.live.hub import Hub
from core.web.live.stream import router

__all__ = ["install", "shared"]


def install(app: FastAPI) -> None:
    """Puts the stream on the core's app, and what its pages have in common."""
    app.state.live, app.state.fragments = Hub(app.state.engine), Fragments()
    app.router.routes.extend(router.routes)
