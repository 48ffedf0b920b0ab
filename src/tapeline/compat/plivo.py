"""The `plivo` package's client. It takes its base address from constants at every call, so what is
changed is the transport beneath it.
"""

from typing import TypeVar

from tapeline.compat.redirect import redirect

ORIGIN = "https://api.plivo.com"
ClientT = TypeVar("ClientT")


def plivo(client: ClientT, base: str) -> ClientT:
    """`plivo.RestClient(…)`, pointed at the node at `base` (`http://127.0.0.1:8080`); the same
    client is given back.
    """
    redirect(client.session, ORIGIN, base)  # type: ignore[attr-defined]
    redirect(client.multipart_session, ORIGIN, base)  # type: ignore[attr-defined]
    return client
