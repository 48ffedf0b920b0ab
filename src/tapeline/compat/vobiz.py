"""The `vobiz-python` package's client. Some of its resources take the base address from a constant,
so what is changed is the transport beneath it.
"""

from typing import TypeVar

from tapeline.compat.redirect import redirect

ORIGIN = "https://api.vobiz.ai"
ClientT = TypeVar("ClientT")


def vobiz(client: ClientT, base: str) -> ClientT:
    """`vobiz.RestClient(…)`, pointed at the node at `base` (`http://127.0.0.1:8080`); the same
    client is given back.
    """
    redirect(client.session, ORIGIN, base)  # type: ignore[attr-defined]
    redirect(client.multipart_session, ORIGIN, base)  # type: ignore[attr-defined]
    return client
