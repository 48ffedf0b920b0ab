"""A `requests` transport that sends one host's requests to another base address."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session


def redirect(session: "Session", origin: str, base: str) -> None:
    """What goes to `origin` (`https://api.vendor.com`) goes to `base` from now on.

    Paths and bodies stay as they are; a path of `base` goes before them. Raises ValueError for a
    base that is no http or https address.
    """
    parts = urlsplit(base)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{base!r} is no http or https address; give one like http://host:8080")
    session.mount(origin, _adapter(origin, base.rstrip("/")))


def _adapter(origin: str, base: str) -> Any:
    from requests.adapters import HTTPAdapter

    class Redirected(HTTPAdapter):
        def send(self, request: "PreparedRequest", *args: Any, **more: Any) -> "Response":
            url = request.url or ""
            request.url = base + url[len(origin) :]
            return super().send(request, *args, **more)

    return Redirected()
