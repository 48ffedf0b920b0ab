"""What calls do that answer documents steer: dial and be recorded, record prompts, take keys."""

import asyncio
import time
from xml.sax.saxutils import escape

import pytest
from tests.e2e.documents import number, xml
from tests.e2e.site import Site

from tapeline.domain.call import Direction
from tapeline.domain.command import ListCalls
from tapeline.domain.id import AccountId
from tapeline.domain.recording import RecordingEnd
from tapeline.testing import (
    Call,
    EndedBy,
    Silence,
    Softphone,
    Tone,
    find_tone,
    read_sound,
    tone_level,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOW_HZ, HIGH_HZ = 440, 1_000
LEVEL_DBOV = -20.0
ALIGNED_MS = 20
CROSS_TALK_DB = -60


async def dialled(site: Site, called: str, body: str, callee: Softphone) -> tuple[Call, Call]:
    """(caller, callee) who talk; `{callee}` in the body is where the callee is reached."""
    uri = await number(site, called, body.replace("{callee}", escape(callee.uri)))
    dialling = site.phone.dial(uri, caller="ann")
    theirs = await (await callee.incoming()).answer()
    return await dialling.answered(), theirs


@pytest.mark.parametrize("file_format", ["wav", "mp3"])
async def test_r24_a_dialled_call_has_the_caller_left_and_the_callee_right(
    site: Site, file_format: str
) -> None:
    done, told = f"/recorded-{file_format}", f"/dialled-{file_format}"
    record = f'fileFormat="{file_format}" callbackUrl="{site.receiver.url(done)}"'
    body = (
        f'<Record recordSession="true" {record}/>'
        f'<Dial action="{site.receiver.url(told)}"><User>{{callee}}</User></Dial>'
    )
    async with Softphone("callee") as callee:
        caller, called = await dialled(site, f"81-{file_format}", body, callee)
        await asyncio.sleep(0.4)
        low = caller.play(Tone(LOW_HZ, LEVEL_DBOV))
        await asyncio.sleep(0.25)
        high = called.play(Tone(HIGH_HZ, LEVEL_DBOV))
        await asyncio.sleep(1.5)
        caller.play(Silence())
        called.play(Silence())
        await asyncio.sleep(0.3)
        await called.hang_up()
        assert await caller.ended(5) is EndedBy.THEM

    finished = (await site.receiver.wait_for(done)).form()
    asked = (await site.receiver.wait_for(told)).form()
    sound = await asyncio.to_thread(read_sound, (await site.fetch(finished["RecordUrl"])).body)
    left, right = sound.channel(0), sound.channel(1)
    (low_span,) = find_tone(left, LOW_HZ, rate_hz=sound.rate_hz)
    (high_span,) = find_tone(right, HIGH_HZ, rate_hz=sound.rate_hz)
    assert low_span.level_dbov == pytest.approx(LEVEL_DBOV, abs=2)
    assert high_span.level_dbov == pytest.approx(LEVEL_DBOV, abs=2)
    assert tone_level(right, LOW_HZ) - tone_level(left, LOW_HZ) <= CROSS_TALK_DB
    assert tone_level(left, HIGH_HZ) - tone_level(right, HIGH_HZ) <= CROSS_TALK_DB
    apart_ms = (high.first_unix_us - low.first_unix_us) / 1000
    assert high_span.start_ms - low_span.start_ms == pytest.approx(apart_ms, abs=ALIGNED_MS)
    assert sound.duration_ms == pytest.approx(int(finished["RecordingDurationMs"]), abs=1)
    assert (finished["RecordingEndReason"], finished["recording_health"]) == ("HungUp", "ok")
    calls = await site.local.execute(ListCalls(account_id=AccountId(site.account.auth_id)))
    bleg = next(call for call in calls if call.called == callee.uri)
    assert (bleg.direction, bleg.parent_id) == (Direction.OUTBOUND, asked["CallUUID"])
    assert (asked["DialStatus"], asked["DialBLegUUID"]) == ("completed", bleg.id)
    assert (asked["DialRingStatus"], asked["Event"]) == ("true", "Dial")
    assert tone_level(called.heard().samples, LOW_HZ) > LEVEL_DBOV - 15
    assert tone_level(caller.heard().samples, HIGH_HZ) > LEVEL_DBOV - 15


async def test_a_recording_of_a_dialled_call_begins_with_the_answer(site: Site) -> None:
    done = site.receiver.url("/from-answer")
    body = (
        f'<Record startOnDialAnswer="true" fileFormat="wav" callbackUrl="{done}"/>'
        "<Dial><User>{callee}</User></Dial>"
    )
    async with Softphone("late") as callee:
        uri = await number(site, "82", body.replace("{callee}", callee.uri))
        dialling = site.phone.dial(uri, caller="ann")
        incoming = await callee.incoming()
        await asyncio.sleep(0.8)
        called = await incoming.answer()
        caller = await dialling.answered()
        answered_at = time.monotonic()
        await asyncio.sleep(0.6)
        await caller.hang_up()
        talked_ms = (time.monotonic() - answered_at) * 1000
        assert await called.ended(5) is EndedBy.THEM

    finished = (await site.receiver.wait_for("/from-answer")).form()
    assert int(finished["RecordingDurationMs"]) == pytest.approx(talked_ms, abs=150)


async def test_a_busy_callee_is_told_and_the_document_goes_on(site: Site) -> None:
    told = site.receiver.url("/busy")
    body = f'<Dial action="{told}"><User>{{callee}}</User></Dial>'
    site.receiver.script("/busy", xml("<Conference>after-busy</Conference>"))
    async with Softphone("busy") as callee:
        uri = await number(site, "83", body.replace("{callee}", callee.uri))
        dialling = site.phone.dial(uri, caller="ann")
        (await callee.incoming()).reject(486)
        caller = await dialling.answered()

    asked = (await site.receiver.wait_for("/busy")).form()
    assert (asked["DialStatus"], asked["DialHangupCause"]) == ("busy", "USER_BUSY")
    await caller.hang_up()


async def test_when_the_caller_hangs_up_while_it_rings_nobody_s_phone_rings_on(
    site: Site,
) -> None:
    async with Softphone("ringing") as callee:
        uri = await number(site, "84", f"<Dial><User>{callee.uri}</User></Dial>")
        dialling = site.phone.dial(uri, caller="ann")
        incoming = await callee.incoming()
        await dialling.cancel()
        await incoming.cancelled(5)


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        ("key", RecordingEnd.FINISH_KEY),
        ("silence", RecordingEnd.SILENCE_LIMIT),
        ("limit", RecordingEnd.TIME_LIMIT),
    ],
)
async def test_a_prompt_is_recorded_until_a_key_silence_or_its_limit(
    site: Site, ends: str, reason: RecordingEnd
) -> None:
    told = f"/prompted-{ends}"
    longest_s = 2 if ends == "limit" else 30
    body = (
        f'<Record action="{site.receiver.url(told)}" maxLength="{longest_s}" fileFormat="wav"'
        ' redirect="true" timeout="1" finishOnKey="1#" playBeep="false" recordChannelType="mono"/>'
    )
    caller = await site.phone.call(await number(site, f"85-{ends}", body), caller="ann")
    caller.play(Tone(LOW_HZ, LEVEL_DBOV))
    await asyncio.sleep(0.8)
    if ends == "key":
        caller.send_digits("2")
        await asyncio.sleep(0.4)
        caller.send_digits("#")
    elif ends == "silence":
        caller.play(Silence())

    asked = (await site.receiver.wait_for(told)).form()
    assert await caller.ended(5) is EndedBy.THEM  # the action's answer is empty: 8012
    sound = await asyncio.to_thread(read_sound, (await site.fetch(asked["RecordUrl"])).body)
    recording = await site.recording(asked["RecordingID"])
    assert recording.end_reason is reason
    words = {"key": "FinishedOnKey", "silence": "RecordingTimeout", "limit": "maxLength"}
    assert asked["RecordingEndReason"] == words[ends]
    assert asked["Digits"] == ("#" if ends == "key" else "")
    assert int(asked["RecordingDurationMs"]) == pytest.approx(sound.duration_ms, abs=1)
    assert find_tone(sound.mono(), LOW_HZ, rate_hz=sound.rate_hz)
    if ends == "limit":
        assert sound.duration_ms == 2_000


async def test_a_prompt_that_the_hang_up_ends_tells_its_action(site: Site) -> None:
    body = f'<Record action="{site.receiver.url("/hung-up")}" playBeep="false"/>'
    caller = await site.phone.call(await number(site, "86", body), caller="ann")
    caller.play(Tone(LOW_HZ, LEVEL_DBOV))
    await asyncio.sleep(0.6)
    await caller.hang_up()

    asked = (await site.receiver.wait_for("/hung-up")).form()
    assert asked["Event"] == "Record"
    assert asked["RecordingEndReason"] == "HungUp"
    assert int(asked["RecordingDurationMs"]) > 300
    assert (await site.fetch(asked["RecordUrl"])).status == 200


async def test_keys_are_told_without_the_one_that_ends_them(site: Site) -> None:
    body = f'<GetDigits action="{site.receiver.url("/digits")}" timeout="5"/>'
    site.receiver.script("/digits", xml("<Hangup/>"))
    caller = await site.phone.call(await number(site, "87", body), caller="ann")
    await asyncio.sleep(0.3)
    for digit in "407#":
        caller.send_digits(digit)
        await asyncio.sleep(0.3)

    asked = (await site.receiver.wait_for("/digits")).form()
    assert asked["Digits"] == "407"
    assert await caller.ended(5) is EndedBy.THEM


async def test_a_star_parts_the_two_and_the_caller_s_document_goes_on(site: Site) -> None:
    told = site.receiver.url("/starred")
    site.receiver.script("/starred", xml("<Conference>after-star</Conference>"))
    body = f'<Dial hangupOnStar="true" action="{told}"><User>{{callee}}</User></Dial>'
    async with Softphone("starred") as callee:
        caller, called = await dialled(site, "92", body, callee)
        await asyncio.sleep(0.4)
        caller.send_digits("*")
        assert await called.ended(5) is EndedBy.THEM

    asked = (await site.receiver.wait_for("/starred")).form()
    assert asked["DialStatus"] == "completed"
    assert not caller.is_over
    await caller.hang_up()
