import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tapeline.speech.model import ModelMissing
from tapeline.speech.sound import Passage
from tapeline.speech.worker import Desk

LIMIT_S = 20


class ScriptedModel:
    """Says where each passage begins, in seconds."""

    def lines(self, passage: Passage) -> list[str]:
        return [f"at {passage.start_ms / 1000:.1f}"]


def refusing(error: Exception) -> Callable[[], ScriptedModel]:
    def load() -> ScriptedModel:
        raise error

    return load


def served(
    request: dict[str, Any], load_model: Callable[[], ScriptedModel] = ScriptedModel
) -> list[dict[str, Any]]:
    """The answers, without those that only say that it goes on."""
    answers: list[dict[str, Any]] = []
    Desk(answers.append, load_model).serve(request)
    return [answer for answer in answers if answer]


def record(path: Path, *seconds_and_levels: tuple[float, float]) -> Path:
    parts = [np.full(int(s * 8_000), level, np.float32) for s, level in seconds_and_levels]
    soundfile.write(path, np.concatenate(parts), 8_000)
    return path


def test_each_passage_is_heard_in_its_turn(tmp_path: Path) -> None:
    audio = record(tmp_path / "call.wav", (1, 0.1), (3, 0.0), (1, 0.1))

    answers = served({"do": "transcribe", "audio": str(audio)})

    assert answers == [{"heard": "at 0.0"}, {"heard": "at 3.7"}, {"done": True}]


def test_a_silent_file_does_not_even_load_the_model(tmp_path: Path) -> None:
    audio = record(tmp_path / "call.wav", (60, 0.0))
    request = {"do": "transcribe", "audio": str(audio)}

    assert served(request, refusing(AssertionError("loaded"))) == [{"done": True}]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModelMissing("moonshine-voice is not installed"), "moonshine-voice is not installed"),
        (MemoryError("too much"), "MemoryError: too much"),
    ],
)
def test_a_model_that_is_missing_or_fails_is_told(
    tmp_path: Path, error: Exception, said: str
) -> None:
    audio = record(tmp_path / "call.wav", (1, 0.1))

    answers = served({"do": "transcribe", "audio": str(audio)}, refusing(error))

    assert answers == [{"failed": said}]


def test_no_audio_is_told(tmp_path: Path) -> None:
    (answer,) = served({"do": "transcribe", "audio": str(tmp_path / "gone.wav")})

    assert answer["failed"].startswith("the audio cannot be decoded: ")
    assert str(tmp_path) not in answer["failed"]


@pytest.fixture
def process() -> Any:
    """The worker as the node starts it."""
    command = (sys.executable, "-P", "-m", "tapeline.speech.worker")
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


def asked(process: Any, request: dict[str, Any]) -> dict[str, Any]:
    """The last answer to a request."""
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    while True:
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        if answer:
            return answer


def test_the_process_steps_back_behind_everything_live(process: Any, tmp_path: Path) -> None:
    audio = record(tmp_path / "call.wav", (1, 0.0))

    assert asked(process, {"do": "transcribe", "audio": str(audio)}) == {"done": True}

    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 19
    assert Path(f"/proc/{process.pid}/oom_score_adj").read_text(encoding="ascii") == "800\n"
    process.send_signal(signal.SIGINT)
    assert asked(process, {"do": "transcribe", "audio": str(audio)}) == {"done": True}


def test_the_process_ends_with_its_parent_even_in_the_middle_of_work(
    process: Any, tmp_path: Path
) -> None:
    audio = record(tmp_path / "long.wav", (3_600, 0.0))
    process.stdin.write(json.dumps({"do": "transcribe", "audio": str(audio)}) + "\n")
    process.stdin.flush()
    process.stdout.readline()

    process.stdin.close()

    began = time.monotonic()
    assert process.wait(LIMIT_S) == 0
    assert time.monotonic() - began < LIMIT_S
