"""Turning a rendered message into one signed HTTP request."""

import json
from collections.abc import Callable, Mapping
from urllib.parse import urlencode, urlsplit, urlunsplit

from tapeline.domain.delivery import CallbackMessage, Encoding, OutgoingRequest

FORM = "application/x-www-form-urlencoded"
JSON = "application/json"


def with_fresh_links(
    message: CallbackMessage, sign_link: Callable[[str], str]
) -> dict[str, object]:
    """The message's fields, its links signed anew: a delivery two hours late is still good."""
    fields = dict(message.fields)
    for name in message.link_fields:
        link = fields.get(name)
        if isinstance(link, str) and link:
            fields[name] = sign_link(link)
    return fields


def with_query(url: str, fields: Mapping[str, object]) -> str:
    """The URL with the fields behind its own query."""
    parts = urlsplit(url)
    added = urlencode([(key, str(value)) for key, value in fields.items()])
    query = "&".join(piece for piece in (parts.query, added) if piece)
    return urlunsplit(parts._replace(query=query, fragment=""))


def make_request(
    url: str,
    *,
    method: str,
    encoding: Encoding,
    fields: Mapping[str, object],
    headers: Mapping[str, str],
) -> OutgoingRequest:
    """Fields go where `encoding` says; GET has them in the query always."""
    if encoding is Encoding.QUERY or method == "GET":
        return OutgoingRequest(
            method=method, url=with_query(url, fields), headers=headers, body=b""
        )
    if encoding is Encoding.JSON:
        body, content_type = json.dumps(fields, ensure_ascii=False).encode(), JSON
    else:
        text = urlencode([(key, str(value)) for key, value in fields.items()])
        body, content_type = text.encode(), FORM
    return OutgoingRequest(
        method=method, url=url, headers={**headers, "Content-Type": content_type}, body=body
    )
