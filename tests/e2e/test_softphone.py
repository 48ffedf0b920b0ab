"""The softphone against itself: what measures the node is measured first."""

import asyncio

import aiohttp
import pytest

from tapeline.testing import (
    Answer,
    CallRejected,
    EndedBy,
    NetworkQuality,
    Receiver,
    Softphone,
    Tone,
    find_tone,
    refuse,
    tone_level,
)

pytestmark = pytest.mark.alone


async def test_each_hears_the_others_tone_when_it_was_sent() -> None:
    async with Softphone("ann") as ann, Softphone("bob") as bob:
        dialled = ann.dial(bob.uri, play=None)
        incoming = await bob.incoming()
        assert (await dialled.ringing()).status == 180
        theirs, ours = await asyncio.gather(incoming.answer(play=Tone(600)), dialled.answered())

        await asyncio.sleep(0.5)
        spoken = ours.play(Tone(440))
        await asyncio.sleep(1.0)
        ours.play(None)
        await asyncio.sleep(0.3)
        await ours.hang_up()

        assert await theirs.ended(2) is EndedBy.THEM
        heard = theirs.heard()
        (span,) = find_tone(heard.samples, 440)
        assert heard.start_unix_us == pytest.approx(spoken.first_unix_us, abs=5_000)
        length_ms = (spoken.end_unix_us - spoken.first_unix_us) / 1000
        assert span.duration_ms == pytest.approx(length_ms, abs=8)
        assert tone_level(ours.heard().samples, 600) == pytest.approx(-20, abs=1)
        assert heard.lost_count == 0


async def test_a_refusal_names_its_status() -> None:
    async with Softphone("ann") as ann, Softphone("bob") as bob:
        dialled = ann.dial(bob.uri)
        (await bob.incoming()).reject(486, "Busy Here")

        with pytest.raises(CallRejected, match="486 Busy Here"):
            await dialled.answered()


async def test_cancel_while_ringing() -> None:
    async with Softphone("ann") as ann, Softphone("bob") as bob:
        dialled = ann.dial(bob.uri)
        incoming = await bob.incoming()

        assert (await dialled.cancel()).status == 487
        assert incoming.is_cancelled


async def test_the_callee_can_hang_up_and_digits_and_options_pass() -> None:
    async with Softphone("ann", codecs=["PCMA"]) as ann, Softphone("bob") as bob:
        dialled = ann.dial(bob.uri)
        theirs, ours = await asyncio.gather((await bob.incoming()).answer(), dialled.answered())
        ours.send_digits("1#")
        assert (await ours.renegotiate()).status == 200
        assert (await ann.options(bob.uri)).status == 200
        await asyncio.sleep(0.6)
        await theirs.hang_up()

        assert await ours.ended(2) is EndedBy.THEM
        packets = theirs.stream.packets
        digits = [p for p in packets if p.payload_type == 101]
        assert [p.payload[0] for p in digits] == [1] * 8 + [11] * 8
        assert {p.payload_type for p in packets} == {8, 101}


async def test_a_bad_network_loses_what_it_says() -> None:
    bad = NetworkQuality(loss=0.2, jitter_ms=30)
    async with Softphone("ann", quality=bad, seed=7) as ann, Softphone("bob") as bob:
        dialled = ann.dial(bob.uri, play=Tone(440))
        theirs, _ = await asyncio.gather((await bob.incoming()).answer(), dialled.answered())

        await asyncio.sleep(2)

        heard = theirs.heard()
        assert 5 <= heard.lost_count <= 40
        assert tone_level(heard.samples, 440) == pytest.approx(-22, abs=2)


async def test_forty_calls_keep_their_deadlines() -> None:
    async with Softphone("many") as many, Softphone("bob") as bob:
        dialled = [many.dial(bob.uri, play=Tone(440)) for _ in range(40)]
        answered = [await (await bob.incoming()).answer() for _ in dialled]
        calls = [await d.answered() for d in dialled]

        await asyncio.sleep(1)

        counts = [call.heard().packet_count for call in answered]
        assert min(counts) >= 45
        assert max(call.stream.send_errors for call in calls) == 0


async def test_the_receiver_answers_as_told() -> None:
    async with Receiver() as receiver, aiohttp.ClientSession() as client:
        receiver.script("/done", *refuse(2))
        receiver.script("/gone", Answer(drops=True))

        statuses = []
        for number in range(3):
            async with client.post(receiver.url("/done?a=b"), json={"n": number}) as response:
                statuses.append(response.status)
        with pytest.raises(aiohttp.ClientError):
            await client.get(receiver.url("/gone"))

        assert statuses == [503, 503, 200]
        third = await receiver.wait_for("/done", count=3)
        assert third.json() == {"n": 2}
        assert third.query == {"a": "b"}
        with pytest.raises(TimeoutError, match="POST /done"):
            await receiver.wait_for("/never", timeout_s=0.01)
