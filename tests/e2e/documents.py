"""Numbers that are answered with a document, fetched from the customer's server."""

from tests.e2e.site import Site

from tapeline.testing import Answer


def xml(body: str) -> Answer:
    text = f"<Response>{body}</Response>"
    return Answer(body=text.encode(), content_type="application/xml")


async def number(site: Site, called: str, body: str) -> str:
    """A number that is answered with a document; the URI to call."""
    site.receiver.script(f"/answer/{called}", xml(body))
    await site.application(called, answer_url=site.receiver.url(f"/answer/{called}"))
    return site.node.sip_uri(called)
