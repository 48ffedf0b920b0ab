import asyncio
from pathlib import Path

import pytest
from tests.unit.speech.scripted import program

from tapeline.domain.error import CannotBeSpoken, SynthesiserFailed
from tapeline.speech.synthesiser import FirstThatSpeaks, HibariSynthesiser, is_english, run


class ScriptedVoice:
    """Writes its name; or fails."""

    def __init__(self, name: str, language: str, *, fails: bool = False) -> None:
        self.name = name
        self.language = language
        self.fails = fails
        self.is_closed = False

    def speaks(self, language: str) -> bool:
        return language.startswith(self.language)

    async def speak(self, text: str, out: Path, *, language: str) -> None:
        if self.fails:
            raise SynthesiserFailed(f"{self.name} is hoarse")
        await asyncio.to_thread(out.write_text, f"{self.name} {language}: {text}", "utf-8")

    async def close(self) -> None:
        self.is_closed = True


@pytest.mark.parametrize(
    ("voices", "language", "spoken"),
    [
        (("a", "b"), "en-US", "a"),
        (("a!", "b"), "en-US", "b"),
        (("a!", "b!"), "en-US", None),
        (("a", "b"), "de-DE", None),
    ],
)
async def test_the_first_that_speaks_the_language_and_can(
    tmp_path: Path, voices: tuple[str, ...], language: str, spoken: str | None
) -> None:
    parts = [ScriptedVoice(name[0], "en", fails=name.endswith("!")) for name in voices]
    out = tmp_path / "prompt.wav"
    synthesiser = FirstThatSpeaks(parts)

    if spoken is None:
        fault = CannotBeSpoken if language == "de-DE" else SynthesiserFailed
        with pytest.raises(fault, match=r"a.*hoarse; b.*hoarse|a voice here speaks, not 'de"):
            await synthesiser.speak("Hello", out, voice="WOMAN", language=language)
    else:
        await synthesiser.speak("Hello", out, voice="WOMAN", language=language)
        assert out.read_text(encoding="utf-8") == f"{spoken} {language}: Hello"
    await synthesiser.close()
    assert all(part.is_closed for part in parts)


async def test_a_text_that_is_too_long_is_refused(tmp_path: Path) -> None:
    synthesiser = FirstThatSpeaks([ScriptedVoice("a", "en")])

    with pytest.raises(CannotBeSpoken, match="3001 of them"):
        await synthesiser.speak("x" * 3001, tmp_path / "x.wav", voice="", language="en")


async def test_the_worker_is_asked_for_the_words_and_its_failure_is_told(tmp_path: Path) -> None:
    good = HibariSynthesiser(
        program("open(request['out'], 'w').write(request['text']); tell(done=True)")
    )
    bad = HibariSynthesiser(program("tell(failed='no model')"))

    await good.speak("Hello", tmp_path / "x.wav", language="en")
    assert (tmp_path / "x.wav").read_text(encoding="utf-8") == "Hello"
    with pytest.raises(SynthesiserFailed, match="no model"):
        await bad.speak("Hello", tmp_path / "y.wav", language="en")
    await good.close()
    await bad.close()


@pytest.mark.parametrize(
    ("language", "english"),
    [("en-US", True), ("EN_gb", True), ("en", True), ("", True), ("de", False), ("eng", False)],
)
def test_english_by_its_tag(language: str, english: bool) -> None:  # noqa: FBT001
    assert is_english(language) is english


async def test_a_command_that_fails_is_told() -> None:
    await run("true")
    with pytest.raises(SynthesiserFailed, match="false ended with status 1"):
        await run("false")
