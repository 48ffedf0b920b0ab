"""The process that recognises and speaks: `python -m tapeline.speech.worker`.

It takes one request a line on its input and answers lines on its output, both JSON:

    {"do": "transcribe", "audio": "/…/x.mp3"}   →  {"heard": "a line"}… {"done": true}
    {"do": "speak", "text": "…", "out": "/…"}   →  {"done": true}

`{}` in between says that it goes on; `{"failed": "why"}` ends a request too. It has the lowest
priority there is, is the first to go when memory runs out, and ends with its parent.
"""

import contextlib
import json
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar

from tapeline.speech.hibari import HibariVoice, write_wav
from tapeline.speech.model import ModelMissing
from tapeline.speech.moonshine import MoonshineModel
from tapeline.speech.sound import Passage, SoundUnreadable, passages, read_mono

ItemT = TypeVar("ItemT")
Reply = dict[str, Any]

LOWEST_PRIORITY = 19
DIES_FIRST = "800"
"""Of 1000, as the kernel counts whom to end when memory runs out."""


class Model(Protocol):
    """What hears words."""

    def lines(self, passage: Passage) -> Iterable[str]: ...


class Desk:
    """Does one request after the other; a model loads at its first and stays."""

    def __init__(
        self,
        tell: Callable[[Reply], None],
        load_model: Callable[[], Model] = MoonshineModel,
    ) -> None:
        self._tell = tell
        self._load_model = load_model
        self._model: Model | None = None
        self._voice: HibariVoice | None = None

    def serve(self, request: Mapping[str, Any]) -> None:
        try:
            if request["do"] == "transcribe":
                self._transcribe(Path(request["audio"]))
            else:
                self._speak(request["text"], Path(request["out"]))
        except (ModelMissing, SoundUnreadable, OSError) as error:
            self._tell({"failed": str(error)})
        except Exception as error:  # noqa: BLE001  a model's own failure is the asker's to judge
            self._tell({"failed": f"{type(error).__name__}: {error}"})
        else:
            self._tell({"done": True})

    def _transcribe(self, audio: Path) -> None:
        """The model loads only when there is something to hear."""
        for passage in passages(self._going_on(read_mono(audio))):
            self._model = self._model or self._load_model()
            for line in self._model.lines(passage):
                self._tell({"heard": line})

    def _speak(self, text: str, out: Path) -> None:
        self._voice = self._voice or HibariVoice()
        write_wav(self._going_on(self._voice.pieces(text)), out)

    def _going_on(self, items: Iterator[ItemT]) -> Iterator[ItemT]:
        for item in items:
            self._tell({})
            yield item


def requests(lines: IO[str]) -> Iterator[Mapping[str, Any]]:
    """As they come. The process ends at the end of its input, whatever it is doing: then there is
    nobody left to answer.
    """
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read() -> None:
        for line in lines:
            waiting.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield json.loads(waiting.get())


def step_back() -> None:
    """Behind everything that is live."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the node that owns us decides
    os.nice(LOWEST_PRIORITY)
    with contextlib.suppress(OSError):  # no such file outside Linux
        Path("/proc/self/oom_score_adj").write_text(DIES_FIRST, encoding="ascii")


def main() -> None:
    step_back()
    # What a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def tell(reply: Reply) -> None:
        answers.write(json.dumps(reply) + "\n")
        answers.flush()

    desk = Desk(tell)
    for request in requests(sys.stdin):
        desk.serve(request)


if __name__ == "__main__":
    main()
