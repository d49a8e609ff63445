"""Links from pages to Grafana's boards, where somebody has said where people open it."""

from urllib.parse import urlencode

from core.web.frame.visit import Visit


def board_link(visit: Visit, uid: str, **chosen: str) -> str | None:
    """The address of a board with these values of its variables; None where no Grafana is told of."""
    base = visit.request.app.state.settings.grafana_public_url
    if base is None:
        return None
    return f"{base.rstrip('/')}/d/{uid}?{urlencode({f'var-{name}': value for name, value in chosen.items()})}"
