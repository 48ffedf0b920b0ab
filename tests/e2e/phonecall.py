"""Calls of softphones to a core without a node, and what a leg's file holds."""

import asyncio

from tests.e2e.line import Line, decode_wav
from tests.e2e.rawphone import Samples

from tapeline.domain.signal import (
    CallArrived,
    ChannelLayout,
    LegHandle,
    RecorderSpec,
    RecordingFinished,
)
from tapeline.testing import Softphone, Tone
from tapeline.testing.call import Call


async def answered(
    line: Line, phone: Softphone, tone_hz: int, *, media_port: int | None = None
) -> tuple[Call, LegHandle]:
    """A call that the phone makes and that is answered at once."""
    (address,) = line.engine.sip_addresses
    uri = f"sip:7001@{address}"
    count = 1 + sum(isinstance(signal, CallArrived) for signal in line.signals)
    outgoing = phone.dial(uri, play=Tone(tone_hz), media_port=media_port)
    arrived = await line.wait_for(CallArrived, count=count)
    await line.engine.answer(arrived.leg)
    return await outgoing.answered(), arrived.leg


async def recorded(line: Line, leg: LegHandle, seconds: float) -> Samples:
    """What a leg says for a while, decoded from its file."""
    count = sum(isinstance(signal, RecordingFinished) for signal in line.signals)
    folder = line.spool / f"leg{count}"
    spec = RecorderSpec(folder=str(folder), format="wav", leg=leg, layout=ChannelLayout.RX)
    recorder = await line.engine.start_recording(spec)
    await asyncio.sleep(seconds)
    await line.engine.stop_recording(recorder)
    await line.wait_for(RecordingFinished, count=count + 1)
    return decode_wav(folder / "audio.part")
