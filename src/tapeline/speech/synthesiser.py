"""`domain.port.Synthesiser`: the voice inside `hibari-tts`, else a program of the system's."""

import asyncio
import contextlib
import importlib.util
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from tapeline.domain.error import CannotBeSpoken, SynthesiserFailed
from tapeline.speech.process import Patience, Worker, WorkerFailed

LONGEST_TEXT = 3_000
"""Characters; as much as the answer documents' own limits let through."""
COMMAND_LIMIT_S = 30.0
WORKER_LIMIT_S = 60.0


class Voice(Protocol):
    """One way to speak."""

    def speaks(self, language: str) -> bool:
        """`language` is a tag like `en-GB`."""

    async def speak(self, text: str, out: Path, *, language: str) -> None:
        """Writes a mono WAV. Raises SynthesiserFailed."""

    async def close(self) -> None: ...


class HibariSynthesiser:
    """English, one voice, 16 kHz; in a worker's process."""

    def __init__(self, worker: Worker | None = None) -> None:
        self._worker = worker or Worker(
            patience=Patience(silence_s=WORKER_LIMIT_S, request_s=WORKER_LIMIT_S)
        )

    def speaks(self, language: str) -> bool:
        return is_english(language) and importlib.util.find_spec("hibari") is not None

    async def speak(self, text: str, out: Path, *, language: str) -> None:  # noqa: ARG002
        """Raises SynthesiserFailed."""
        try:
            await self._worker.ask({"do": "speak", "text": text, "out": str(out)})
        except WorkerFailed as error:
            raise SynthesiserFailed(str(error)) from error

    async def close(self) -> None:
        await self._worker.close()


class FliteSynthesiser:
    """English, by the `flite` command."""

    def speaks(self, language: str) -> bool:
        return is_english(language) and shutil.which("flite") is not None

    async def speak(self, text: str, out: Path, *, language: str) -> None:  # noqa: ARG002
        """Raises SynthesiserFailed."""
        await run("flite", "-voice", "slt", "-t", text, "-o", str(out))

    async def close(self) -> None:
        """Nothing is held."""


class EspeakSynthesiser:
    """Many languages, by the `espeak-ng` command."""

    def speaks(self, language: str) -> bool:  # noqa: ARG002 - the command knows which
        return shutil.which("espeak-ng") is not None

    async def speak(self, text: str, out: Path, *, language: str) -> None:
        """Raises SynthesiserFailed, for a language that it does not know too."""
        await run("espeak-ng", "-v", language.lower(), "-w", str(out), "--stdin", text=text)

    async def close(self) -> None:
        """Nothing is held."""


class FirstThatSpeaks:
    """The first of several voices that knows the language; the next one when it fails."""

    def __init__(self, voices: Sequence[Voice] | None = None) -> None:
        self._voices = (
            (HibariSynthesiser(), FliteSynthesiser(), EspeakSynthesiser())
            if voices is None
            else tuple(voices)
        )

    async def speak(self, text: str, out: Path, *, voice: str, language: str) -> None:  # noqa: ARG002 - there is one voice
        """Writes a mono WAV; every `voice` is the same one. Raises CannotBeSpoken,
        SynthesiserFailed.
        """
        if len(text) > LONGEST_TEXT:
            expected = f"at most {LONGEST_TEXT} characters"
            raise CannotBeSpoken(field="text", value=f"{len(text)} of them", expected=expected)
        failures = []
        for each in self._voices:
            if not each.speaks(language):
                continue
            try:
                await each.speak(text, out, language=language)
            except SynthesiserFailed as error:
                failures.append(str(error))
            else:
                return
        if not failures:
            expected = "a language that a voice here speaks"
            raise CannotBeSpoken(field="language", value=language, expected=expected)
        raise SynthesiserFailed("; ".join(failures))

    async def close(self) -> None:
        for each in self._voices:
            await each.close()


def is_english(language: str) -> bool:
    return language.replace("_", "-").split("-")[0].lower() in {"", "en"}


async def run(*words: str, text: str = "") -> None:
    """A command to its end, `text` on its input. Raises SynthesiserFailed."""
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(COMMAND_LIMIT_S):
            await process.communicate(text.encode())
    except TimeoutError:
        raise SynthesiserFailed(f"{words[0]} took more than {COMMAND_LIMIT_S:g} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SynthesiserFailed(f"{words[0]} ended with status {process.returncode}")
