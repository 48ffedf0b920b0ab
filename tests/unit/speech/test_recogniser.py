from pathlib import Path

import pytest
from tests.unit.speech.scripted import program

from tapeline.domain.error import RecogniserFailed
from tapeline.speech import MoonshineRecogniser


async def test_the_lines_that_were_heard_are_one_text() -> None:
    recogniser = MoonshineRecogniser(
        program("tell(heard=request['audio']); tell(heard='and more.'); tell(done=True)")
    )

    assert await recogniser.transcribe(Path("/spool/call.mp3")) == "/spool/call.mp3 and more."
    await recogniser.close()


async def test_nobody_speaking_is_an_empty_text() -> None:
    recogniser = MoonshineRecogniser(program("tell(); tell(done=True)"))

    assert await recogniser.transcribe(Path("call.mp3")) == ""
    await recogniser.close()


async def test_a_failing_worker_is_a_recogniser_that_failed() -> None:
    recogniser = MoonshineRecogniser(program("tell(failed='no audio in it')"))

    with pytest.raises(RecogniserFailed, match="no audio in it"):
        await recogniser.transcribe(Path("call.mp3"))
    await recogniser.close()
