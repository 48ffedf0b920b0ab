"""Rules about values that more than one use case takes. Pure."""

from urllib.parse import urlsplit

from tapeline.domain.error import InvalidChoice, InvalidUrl

METHODS = ("GET", "POST")


def check_url(field: str, url: str | None) -> None:
    """Raises InvalidUrl for what is no absolute http or https URL; None passes."""
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
        _ = parts.port  # raises for a port that is no number
    except ValueError:
        is_good = False
    if not is_good or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidUrl(field=field, value=url)


def check_method(field: str, method: str) -> None:
    if method not in METHODS:
        raise InvalidChoice(field=field, value=method, choices=METHODS)
