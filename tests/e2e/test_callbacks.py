"""The recording's callback and its link, as the customer's server and its users meet them."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.e2e.site import Site, eventually, open_site

from tapeline.domain.command import DeliveryView, ListDeliveries, SetAccount
from tapeline.domain.delivery import DeliveryState, Failure
from tapeline.domain.id import AccountId, RecordingId
from tapeline.testing import Answer, CallRejected, Tone, find_tone, read_sound, refuse

ROOM = "<Response><Conference>formal</Conference></Response>"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def record(site: Site, room: str, seconds: float = 0.5, **body: object) -> dict[str, str]:
    """A short recording from start to stop; the start's answer."""
    call = await site.sit(room, play=Tone(440))
    started = await site.start(room, **body)
    await asyncio.sleep(seconds)
    await site.stop(room)
    await call.hang_up()
    return started


async def attempted(site: Site, recording_id: str, count: int) -> DeliveryView:
    """The recording's one delivery, once so many attempts are stored."""
    command = ListDeliveries(
        account_id=AccountId(site.account.auth_id), recording_id=RecordingId(recording_id)
    )

    async def has_been() -> bool:
        return any(len(view.attempts) >= count for view in await site.local.execute(command))

    await eventually(has_been, f"{count} attempts are stored")
    (found,) = await site.local.execute(command)
    return found


async def test_it_is_repeated_as_its_url_says_and_every_attempt_is_stored(site: Site) -> None:
    site.receiver.script("/shaky", Answer(status=503), Answer(delay_s=1.5), Answer())
    url = site.receiver.url("/shaky?shop=3#rt=300&rc=3&rp=5xx,rt")

    started = await record(site, "shaky", callback_url=url, file_format="wav")

    third = await site.receiver.wait_for("/shaky", count=3)
    view = await attempted(site, started["recording_id"], 3)
    assert [(each.number, each.status, each.failure) for each in view.attempts] == [
        (1, 503, Failure.SERVER_ERROR),
        (2, None, Failure.READ_TIMEOUT),
        (3, 200, None),
    ]
    first, second = site.receiver.received("/shaky")[:2]
    waits_s = [
        (later.arrived_unix_us - earlier.arrived_unix_us) / 1e6
        for earlier, later in ((first, second), (second, third))
    ]
    assert waits_s[0] == pytest.approx(1.0, abs=0.5)
    assert waits_s[1] == pytest.approx(2.3, abs=0.7)
    assert first.query == second.query == third.query == {"shop": "3"}
    assert [each.json()["recording_id"] for each in (first, third)] == [started["recording_id"]] * 2
    nonces = {each.headers["x-vobiz-signature-v3-nonce"] for each in (first, second, third)}
    assert len(nonces) == 3
    assert view.delivery.state is DeliveryState.DELIVERED


async def test_what_its_url_does_not_name_is_left_to_the_durable_schedule(site: Site) -> None:
    site.receiver.script("/firm", *refuse(100, status=500))

    started = await record(site, "firm", callback_url=site.receiver.url("/firm"))

    view = await attempted(site, started["recording_id"], 1)
    assert [(each.status, each.failure) for each in view.attempts] == [(500, Failure.SERVER_ERROR)]
    assert view.delivery.state is DeliveryState.PENDING
    wait_ms = (view.delivery.next_attempt_at_ms or 0) - view.attempts[0].at_ms
    assert wait_ms == pytest.approx(30_000, abs=1_000)
    (shown,) = [
        row
        for row in await site.node.command("deliveries", "list")
        if row["delivery_id"] == view.delivery.id
    ]
    assert (shown["state"], shown["attempts"], shown["last_status"]) == ("pending", 1, 500)


@pytest.mark.parametrize(("method", "encoding"), [("GET", "documented"), ("POST", "form")])
async def test_its_method_and_encoding_are_the_customers_choice(
    site: Site, method: str, encoding: str
) -> None:
    other = await site.another(f"Speaks {method}")
    await other.application(f"{method}-*", answer_document=ROOM)
    chosen = {"vobiz.callback_encoding": encoding}
    account_id = AccountId(other.account.auth_id)
    await site.local.execute(SetAccount(account_id=account_id, dialect_settings=chosen))
    call = await other.sit("formal", number=f"{method}-")

    started = await other.start(
        "formal",
        recording_callback_url=site.receiver.url(f"/formal-{method}"),
        recording_callback_method=method,
    )
    await asyncio.sleep(0.2)
    await call.hang_up()

    told = await site.receiver.wait_for(f"/formal-{method}")
    assert told.method == method
    assert told.fields()["recording_id"] == started["recording_id"]
    assert told.fields()["recording_health"] == "ok"
    assert told.headers.get("content-type", "").startswith(
        {"POST": "application/x-www-form-urlencoded", "GET": ""}[method]
    )


async def test_its_link_is_good_at_once_and_with_ranges(site: Site) -> None:
    started = await record(
        site, "linked", callback_url=site.receiver.url("/linked"), file_format="wav"
    )

    told = (await site.receiver.wait_for("/linked")).json()
    link = told["recording_url"]
    whole = await site.fetch(link)
    part = await site.fetch(link, headers={"Range": "bytes=100-199"})
    tail = await site.fetch(link, headers={"Range": "bytes=-50"})
    beyond = await site.fetch(link, headers={"Range": "bytes=99999999-"})
    head = await site.fetch(link, method="HEAD")

    assert link.split("?")[0] == started["url"].split("?")[0] == told["record_url"].split("?")[0]
    assert whole.status == 200
    assert read_sound(whole.body).duration_ms == told["recording_duration_ms"]
    size = len(whole.body)
    assert (part.status, part.body) == (206, whole.body[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{size}"
    assert (tail.status, tail.body) == (206, whole.body[-50:])
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert (head.status, head.headers["content-length"], head.body) == (200, str(size), b"")


async def test_a_forged_or_expired_link_is_refused_and_credentials_always_open(site: Site) -> None:
    account_id = AccountId(site.account.auth_id)
    await site.local.execute(SetAccount(account_id=account_id, link_life_s=1))
    started = await record(site, "brief", callback_url=site.receiver.url("/brief"))
    await site.local.execute(SetAccount(account_id=account_id, link_life_s=2_592_000))
    await site.receiver.wait_for("/brief")
    path, _, query = started["url"].partition("?")
    expires = int(parse_qs(urlsplit(started["url"]).query)["expires"][0])
    await asyncio.sleep(max(expires - time.time() + 0.05, 0))

    expired = await site.fetch(started["url"])
    fresh = (await site.rest("GET", f"Recording/{started['recording_id']}/")).json["recording_url"]
    later = fresh.replace("expires=", "expires=9")
    elsewhere = fresh.replace(started["recording_id"], "0" * len(started["recording_id"]))
    bare = path.removeprefix(site.node.http_url)

    assert (expired.status, b"expired" in expired.body) == (403, True)
    for forged in (later, elsewhere, path + "?signature=x&" + query.split("&")[0]):
        reply = await site.fetch(forged)
        assert (reply.status, b"signature" in reply.body) == (403, True), forged
    assert (await site.fetch(path)).status == 401
    assert (await site.fetch(fresh)).status == 200
    assert (await site.rest.at("GET", bare)).status == 200
    wrong = {"X-Auth-ID": site.account.auth_id, "X-Auth-Token": "wrong"}
    assert (await site.rest.at("GET", bare, headers=wrong)).status == 401


async def test_a_phone_that_sends_nothing_for_a_while_loses_no_time(site: Site) -> None:
    call = await site.sit("holes", play=Tone(440))
    started = await site.start("holes", callback_url=site.receiver.url("/holes"), file_format="wav")
    await asyncio.sleep(0.4)
    first = call.stream.spoken[-1]
    call.play(None)
    await asyncio.sleep(0.6)
    second = call.play(Tone(440))
    await asyncio.sleep(0.4)
    await site.stop("holes")
    await call.hang_up()

    told = (await site.receiver.wait_for("/holes")).json()
    assert told["recording_health"] == "ok"
    sound = read_sound((await site.fetch(started["url"])).body)
    before, after = find_tone(sound.mono(), 440)
    silence_ms = (second.first_unix_us - first.end_unix_us) / 1000
    assert after.start_ms - before.end_ms == pytest.approx(silence_ms, abs=80)
    assert sound.duration_ms == pytest.approx(told["recording_duration_ms"], abs=1)


async def test_private_addresses_are_refused_with_the_reason_in_the_attempt(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("strict")
    async with open_site(folder, {"outgoing_allow": ""}) as strict:
        started = await record(strict, "inner", callback_url=strict.receiver.url("/inner"))
        await strict.application("7001", answer_url=strict.receiver.url("/answer"))
        with pytest.raises(CallRejected, match="480"):
            await strict.phone.call(strict.node.sip_uri("7001"))

        (attempt,) = (await attempted(strict, started["recording_id"], 1)).attempts
        assert (attempt.status, attempt.failure) == (None, Failure.REFUSED_DESTINATION)
        assert "loopback (outgoing_allow)" in (attempt.reason or "")
        assert strict.receiver.requests == []
        assert (await strict.fetch(started["url"])).status == 200
