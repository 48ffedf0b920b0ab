"""`domain.port.Recogniser` by a worker's process: a live call never waits for it."""

from pathlib import Path

from tapeline.domain.error import RecogniserFailed
from tapeline.speech.process import Worker, WorkerFailed


class MoonshineRecogniser:
    """English, offline, by Moonshine tiny-en; 0.07 to 0.1 of the audio's length in CPU time."""

    def __init__(self, worker: Worker | None = None) -> None:
        self._worker = worker or Worker()

    async def transcribe(self, audio: Path) -> str:
        """The words of a WAV or MP3 file, lines joined by spaces; channels are mixed.

        "" when nobody speaks. Files are done one after the other. Raises RecogniserFailed.
        """
        try:
            answers = await self._worker.ask({"do": "transcribe", "audio": str(audio)})
        except WorkerFailed as error:
            raise RecogniserFailed(str(error)) from error
        return " ".join(str(answer["heard"]) for answer in answers)

    async def close(self) -> None:
        await self._worker.close()
