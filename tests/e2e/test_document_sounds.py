"""What calls hear that answer documents steer: files, words, ringing."""

import asyncio
import io
import wave

import numpy as np
import pytest
from tests.e2e.documents import number, xml
from tests.e2e.site import Site

from tapeline.testing import Answer, EndedBy, Softphone, Tone, find_tone

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOW_HZ, HIGH_HZ, RING_BACK_HZ = 440, 1_000, 425
LEVEL_DBOV = -20.0
ALIGNED_MS = 20


def tone_file(hertz: int, seconds: float) -> Answer:
    """A WAV of 16 kHz, to be resampled, served as a customer's server does."""
    rate_hz, out = 16_000, io.BytesIO()
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    samples = (0.2 * 32_767 * np.sin(2 * np.pi * hertz * times)).astype("<i2")
    with wave.open(out, "wb") as made:
        made.setnchannels(1)
        made.setsampwidth(2)
        made.setframerate(rate_hz)
        made.writeframes(samples.tobytes())
    return Answer(body=out.getvalue(), content_type="audio/wav")


async def test_files_are_heard_one_after_the_other_and_what_is_missing_is_passed_over(
    site: Site,
) -> None:
    site.receiver.script("/low.wav", tone_file(LOW_HZ, 0.5))
    site.receiver.script("/high.wav", tone_file(HIGH_HZ, 0.4))
    site.receiver.script("/missing.wav", Answer(status=404))
    site.receiver.script("/broken.wav", Answer(body=b"no sound at all"))
    plays = "".join(
        f"<Play{loop}>{site.receiver.url(path)}</Play>"
        for path, loop in (
            ("/missing.wav", ""),
            ("/low.wav", ""),
            ("/broken.wav", ""),
            ("/high.wav", ' loop="2"'),
        )
    )
    caller = await site.phone.call(await number(site, "88", plays), caller="ann")

    assert await caller.ended(10) is EndedBy.THEM
    heard = caller.heard().samples
    (low,) = find_tone(heard, LOW_HZ)
    (high,) = find_tone(heard, HIGH_HZ)
    assert low.duration_ms == pytest.approx(500, abs=ALIGNED_MS)
    assert high.duration_ms == pytest.approx(800, abs=ALIGNED_MS)
    assert low.level_dbov == pytest.approx(-17, abs=2)
    assert low.end_ms < high.start_ms + ALIGNED_MS
    assert len(site.receiver.received("/missing.wav")) == 1


async def test_a_key_stops_the_prompt(site: Site) -> None:
    site.receiver.script("/prompt.wav", tone_file(LOW_HZ, 1.0))
    site.receiver.script("/prompted-digit", xml('<Wait length="1"/><Hangup/>'))
    prompt = f'<Play loop="0">{site.receiver.url("/prompt.wav")}</Play>'
    action = site.receiver.url("/prompted-digit")
    body = f'<GetDigits action="{action}" numDigits="1">{prompt}</GetDigits>'
    caller = await site.phone.call(await number(site, "89", body), caller="ann")
    await asyncio.sleep(1.6)
    caller.send_digits("6")

    asked = (await site.receiver.wait_for("/prompted-digit")).form()
    assert await caller.ended(10) is EndedBy.THEM
    (low,) = find_tone(caller.heard().samples, LOW_HZ)
    assert asked["Digits"] == "6"
    assert 1_200 < low.duration_ms < 2_400


async def test_words_are_heard(site: Site) -> None:
    body = "<Speak>Please leave a message after the tone.</Speak>"
    caller = await site.phone.call(await number(site, "90", body), caller="ann")

    assert await caller.ended(30) is EndedBy.THEM
    loudness = np.sqrt(np.mean(np.square(caller.heard().samples)))
    assert 20 * np.log10(loudness) > -45


async def test_a_caller_who_was_answered_hears_it_ring_until_the_callee_answers(
    site: Site,
) -> None:
    body = '<Record recordSession="true" fileFormat="wav"/><Dial><User>{callee}</User></Dial>'
    async with Softphone("slow") as callee:
        uri = await number(site, "91", body.replace("{callee}", callee.uri))
        caller = await site.phone.call(uri, caller="ann")
        incoming = await callee.incoming()
        await asyncio.sleep(0.8)
        called = await incoming.answer(play=Tone(HIGH_HZ, LEVEL_DBOV))
        await asyncio.sleep(0.8)
        await called.hang_up()
        assert await caller.ended(5) is EndedBy.THEM

    heard = caller.heard().samples
    (ring_back,) = find_tone(heard, RING_BACK_HZ)
    (voice,) = find_tone(heard, HIGH_HZ)
    assert ring_back.duration_ms > 500
    assert ring_back.end_ms < voice.start_ms + ALIGNED_MS
