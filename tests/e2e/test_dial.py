"""Calls of ours to telephones that share no code with the core: our softphone, and SIPp."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.e2e.line import Line, decode_wav, open_line
from tests.e2e.rawphone import RATE_HZ, level_at
from tests.e2e.sippcall import SippUas

from tapeline.domain.error import EngineFailed, Invalid
from tapeline.domain.signal import (
    CallAnswered,
    CallEnded,
    CallRinging,
    DialSpec,
    Digit,
    RecorderSpec,
    RecordingFinished,
)
from tapeline.testing import Call, EndedBy, Softphone, Tone, tone_level


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    async with open_line(tmp_path / "spool") as opened:
        yield opened


async def dial(line: Line, phone: Softphone, *, play: Tone) -> tuple[int, Call]:
    """The leg of a call that `phone` answers."""
    leg = await line.engine.dial(DialSpec(uri=phone.uri, caller="4711"))
    call = await (await phone.incoming()).answer(play=play)
    return leg, call


async def test_two_dialled_phones_talk_and_are_recorded(line: Line) -> None:
    engine = line.engine
    room = await engine.create_room(rate_hz=RATE_HZ)
    async with Softphone("low") as low, Softphone("high") as high:
        first, low_call = await dial(line, low, play=Tone(440))
        second, high_call = await dial(line, high, play=Tone(1000))
        await line.wait_for(CallAnswered, count=2)
        for leg in (first, second):
            await engine.join(leg, room)
        spec = RecorderSpec(folder=str(line.spool / "one"), format="wav", room=room)
        recorder = await engine.start_recording(spec)
        await asyncio.sleep(2)
        low_call.send_digits("5")
        digit = await line.wait_for(Digit)
        await engine.stop_recording(recorder)
        await line.wait_for(RecordingFinished)
        levels = engine.levels(first)
        await engine.hang_up(first)
        assert await low_call.ended(2) is EndedBy.THEM
        await high_call.hang_up()
        await line.wait_for(CallEnded, count=2)

    audio = decode_wav(line.spool / "one" / "audio.part")
    middle = audio[RATE_HZ // 2 : RATE_HZ * 3 // 2]
    assert level_at(middle, 440) > 2000
    assert level_at(middle, 1000) > 2000
    assert tone_level(low_call.heard().samples, 1000) == pytest.approx(-20, abs=3)
    assert tone_level(low_call.heard().samples, 440) < -60
    assert (digit.leg, digit.digit) == (first, "5")
    assert levels is not None
    assert levels.packets_received > 80
    assert [signal.sip_status for signal in line.signals if isinstance(signal, CallRinging)] == [
        180,
        180,
    ]
    ended = [(s.leg, s.by) for s in line.signals if isinstance(s, CallEnded)]
    assert ended == [(first, "command"), (second, "remote_bye")]
    await engine.close_room(room)


async def test_who_calls_and_why_is_told_to_the_phone(line: Line) -> None:
    async with Softphone("bob") as bob:
        spec = DialSpec(
            uri=bob.uri,
            caller='4930 "x"\u00fc',
            caller_name='Ann "A" <b>; \\',
            headers=[("X-Team", "red")],
        )
        await line.engine.dial(spec)
        incoming = await bob.incoming()
        incoming.reject(486, "Busy Here")
        ended = await line.wait_for(CallEnded)

    sender = incoming.invite.header("from")
    caller = "<sip:4930%20%22x%22%C3%BC@127.0.0.1>"
    assert sender.startswith(f'"Ann \\"A\\" <b>; \\\\" {caller};tag=')
    assert incoming.invite.header("x-team") == "red"
    assert (ended.by, ended.sip_status) == ("rejected", 486)


async def test_a_phone_stops_ringing_when_we_hang_up(line: Line) -> None:
    async with Softphone("bob") as bob:
        leg = await line.engine.dial(DialSpec(uri=bob.uri, caller="1"))
        incoming = await bob.incoming()
        await line.wait_for(CallRinging)
        await line.engine.hang_up(leg)
        ended = await line.wait_for(CallEnded)
        await incoming.cancelled()

    assert (ended.by, ended.sip_status) == ("command", 487)


async def test_a_phone_that_nobody_answers_stops_ringing(line: Line) -> None:
    async with Softphone("bob") as bob:
        await line.engine.dial(DialSpec(uri=bob.uri, caller="1", ring_limit_ms=300))
        await bob.incoming()
        ended = await line.wait_for(CallEnded)

    assert (ended.by, ended.sip_status) == ("unanswered", 408)


@pytest.mark.parametrize(
    "spec",
    [
        DialSpec(uri="tel:+4930", caller="1"),
        DialSpec(uri="sip:bob@h\r\nX: y", caller="1"),
        DialSpec(uri="sip:bob@h;transport=sctp", caller="1"),
        DialSpec(uri="sip:bob@h", caller="1\r\nVia: x"),
        DialSpec(uri="sip:bob@h", caller="1", headers=[("Via", "x")]),
    ],
    ids=str,
)
async def test_what_cannot_be_dialled_is_refused_at_once(line: Line, spec: DialSpec) -> None:
    with pytest.raises(Invalid, match=r"URI|transport|caller|header"):
        await line.engine.dial(spec)


async def test_a_draining_core_dials_nobody(line: Line) -> None:
    await line.engine.set_draining(draining=True)
    with pytest.raises(EngineFailed, match="takes no new calls"):
        await line.engine.dial(DialSpec(uri="sip:bob@127.0.0.1:9", caller="1"))


async def test_sipp_is_called_and_hung_up(line: Line, tmp_path: Path) -> None:
    async with SippUas("called", tmp_path) as uas:
        leg = await line.engine.dial(DialSpec(uri=uas.uri, caller="1"))
        await line.wait_for(CallAnswered)
        await line.engine.hang_up(leg)
        ended = await line.wait_for(CallEnded)
        await uas.finished()

    assert ended.by == "command"


async def test_sipp_is_called_and_hangs_up(line: Line, tmp_path: Path) -> None:
    async with SippUas("called_and_hangs_up", tmp_path) as uas:
        await line.engine.dial(DialSpec(uri=uas.uri, caller="1"))
        ended = await line.wait_for(CallEnded)
        await uas.finished()

    assert ended.by == "remote_bye"
    assert [s.sip_status for s in line.signals if isinstance(s, CallRinging)] == [183]


async def test_sipp_is_cancelled(line: Line, tmp_path: Path) -> None:
    async with SippUas("called_and_cancelled", tmp_path) as uas:
        leg = await line.engine.dial(DialSpec(uri=uas.uri, caller="1"))
        await line.wait_for(CallRinging)
        await line.engine.hang_up(leg)
        await uas.finished()

    assert (await line.wait_for(CallEnded)).by == "command"
