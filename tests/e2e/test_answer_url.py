"""What a caller gets when the customer's answer URL answers, and when it does not."""

import pytest
from tests.e2e.site import Site, eventually

from tapeline.domain.call import EndCause
from tapeline.domain.command import ListCalls
from tapeline.testing import Answer, CallRejected, EndedBy, Received, refuse

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOM = b"<Response><Conference>asked</Conference></Response>"
CLOSED_PORT = 9
"""Discard: nothing listens there on loopback."""
UNREACHABLE = (480, "7011", EndCause.ANSWER_UNREACHABLE)
INVALID = (500, "8011", EndCause.ANSWER_INVALID)
"""What the caller gets, the webhook's cause, the row's."""
QUICK = "#ct=300&rt=300&rc=0"


ENTITY = b'<!DOCTYPE r [<!ENTITY e SYSTEM "file:///etc/passwd">]>'


def xml(document: bytes) -> Answer:
    return Answer(body=document, content_type="application/xml")


async def refusal(site: Site, number: str) -> int:
    with pytest.raises(CallRejected) as caught:
        await site.phone.call(site.node.sip_uri(number), caller=f"to-{number}")
    return caught.value.status


async def told_end(site: Site, number: str) -> Received:
    """The webhook of the call's end; no two tests share a path."""
    return await site.receiver.wait_for(f"/ended/{number}")


async def row(site: Site, number: str) -> dict[str, str]:
    """What `tapeline calls list --json` shows of the call to that number."""
    (found,) = [r for r in await site.node.command("calls", "list") if r["to"] == number]
    return dict(found)


@pytest.mark.parametrize(
    ("number", "answer", "outcome", "detail"),
    [
        ("7001", None, UNREACHABLE, "refused|connect"),
        ("7002", Answer(status=404), UNREACHABLE, "404"),
        ("7003", Answer(status=500), UNREACHABLE, "500"),
        ("7004", Answer(status=204), UNREACHABLE, "204"),
        ("7005", Answer(delay_s=2.0), UNREACHABLE, "in time"),
        ("7006", Answer(drops=True), UNREACHABLE, "hung up"),
        ("7007", xml(b"<Response><Wait"), INVALID, "XML"),
        ("7008", xml(b"<Response><Launch/></Response>"), INVALID, "Launch"),
        ("7009", Answer(body=b"hello", content_type="text/plain"), INVALID, "XML"),
        ("7010", xml(ENTITY + b"<Response><Conference>&e;</Conference></Response>"), INVALID, ""),
        ("7011", xml(b"<Response>" + b" " * 102_400 + b"</Response>"), INVALID, "102400 bytes"),
    ],
)
async def test_a_document_that_cannot_be_had_or_followed_ends_the_call_with_its_cause(
    site: Site,
    number: str,
    answer: Answer | None,
    outcome: tuple[int, str, EndCause],
    detail: str,
) -> None:
    status, code, cause = outcome
    url = site.receiver.url(f"/answer/{number}") + QUICK
    if answer is None:
        url = f"http://127.0.0.1:{CLOSED_PORT}/{QUICK}"
    else:
        site.receiver.script(f"/answer/{number}", answer)
    ended = site.receiver.url(f"/ended/{number}")
    await site.application(number, answer_url=url, hangup_url=ended)

    assert await refusal(site, number) == status

    webhook = (await told_end(site, number)).form()
    assert (webhook["HangupCauseCode"], webhook["To"]) == (code, number)
    calls = await site.local.execute(ListCalls())
    (call,) = [call for call in calls if call.called == number]
    assert call.end_cause is cause
    assert call.end_detail
    assert any(word in call.end_detail for word in detail.split("|"))


async def test_the_reason_is_on_the_command_line(site: Site) -> None:
    site.receiver.script("/answer/7101", Answer(status=403))
    await site.application("7101", answer_url=site.receiver.url("/answer/7101") + QUICK)

    assert await refusal(site, "7101") == 480

    await eventually(lambda: has_ended(site, "7101"), "the call's row is closed")
    shown = await row(site, "7101")
    assert (shown["state"], shown["cause"]) == ("ended", "answer_unreachable")
    assert "403" in shown["detail"]
    assert '"document_failed"' in site.node.log_text()


async def has_ended(site: Site, number: str) -> bool:
    calls = await site.local.execute(ListCalls(only_live=True))
    return all(call.called != number for call in calls)


async def test_the_question_has_the_standard_parameters_and_the_caller_hears_ringing(
    site: Site,
) -> None:
    site.receiver.script("/answer/7201", Answer(body=ROOM, delay_s=0.2))
    url = site.receiver.url("/answer/7201?shop=3")
    await site.application("7201", answer_url=url, answer_method="POST")

    dialled = site.phone.dial(
        site.node.sip_uri("7201"), caller="+15550100", headers={"X-VH-Order": "12"}
    )
    assert (await dialled.ringing()).status == 180
    call = await dialled.answered()

    asked = await site.receiver.wait_for("/answer/7201")
    fields = asked.form()
    assert (asked.method, dict(asked.query)) == ("POST", {"shop": "3"})
    assert (fields["From"], fields["To"], fields["Direction"]) == ("15550100", "7201", "inbound")
    assert (fields["Event"], fields["CallStatus"]) == ("StartApp", "ringing")
    assert fields["X-VH-Order"] == "12"
    assert "x-vobiz-signature-v3" in asked.headers
    await call.hang_up()


async def test_a_get_question_is_repeated_as_its_url_says_then_followed(site: Site) -> None:
    followed = xml(ROOM)
    site.receiver.script("/answer/7301", *refuse(1, then=followed))
    url = site.receiver.url("/answer/7301#rc=1&rp=5xx")
    await site.application("7301", answer_url=url, answer_method="GET")

    call = await site.phone.call(site.node.sip_uri("7301"))

    first, second = site.receiver.received("/answer/7301")
    assert first.method == second.method == "GET"
    assert first.query["CallUUID"] == second.query["CallUUID"]
    await call.hang_up()


@pytest.mark.parametrize(
    ("number", "document", "status", "code"),
    [
        ("7401", '<Hangup reason="busy"/>', 486, "3010"),
        ("7402", '<Hangup reason="rejected"/>', 603, "3020"),
        ("7403", "<Redirect>{gone}</Redirect>", 480, "7014"),
        ("7404", "<Redirect>{bad}</Redirect>", 500, "8014"),
        ("7405", "<Redirect>{circle}</Redirect>", 500, "8014"),
    ],
)
async def test_verbs_that_end_a_call_before_its_answer(
    site: Site, number: str, document: str, status: int, code: str
) -> None:
    circle = f"/circle/{number}"
    text = document.format(
        gone=site.receiver.url("/gone") + "#rc=0",
        bad=site.receiver.url("/bad"),
        circle=site.receiver.url(circle),
    )
    body = f"<Response>{text}</Response>".encode()
    site.receiver.script("/gone", Answer(status=410))
    site.receiver.script("/bad", xml(b"<No/>"))
    for path in (f"/answer/{number}", circle):
        site.receiver.script(path, xml(body))
    ended = site.receiver.url(f"/ended/{number}")
    url = site.receiver.url(f"/answer/{number}")
    await site.application(number, answer_url=url, hangup_url=ended)

    assert await refusal(site, number) == status
    assert (await told_end(site, number)).form()["HangupCauseCode"] == code


async def test_the_end_of_the_document_hangs_up(site: Site) -> None:
    document = '<Response><Conference timeLimit="1">brief</Conference></Response>'
    ended = site.receiver.url("/ended/7501")
    await site.application("7501", answer_document=document, hangup_url=ended)

    call = await site.phone.call(site.node.sip_uri("7501"))

    assert await call.ended(3.0) is EndedBy.THEM
    webhook = (await told_end(site, "7501")).form()
    assert (webhook["HangupCauseCode"], webhook["CallStatus"]) == ("4010", "completed")
