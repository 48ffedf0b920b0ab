"""How many words the recogniser gets wrong on a telephone line, and what that costs.

Twelve sentences by each voice, through G.711 and back, clean and with white noise 15 dB below the
speech; the voices and sentences marked "unheard" had no part in choosing any figure of `speech`.
Synthetic voices only: real calls are worse. CPU time is that of the worker's process.
"""

import asyncio
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from tapeline.speech import MoonshineRecogniser
from tapeline.speech.process import Worker
from tapeline.testing import Samples
from tapeline.testing.g711 import Law, decode, encode
from tapeline.testing.words import VoiceMissing, plain_words, say, word_errors

RATE_HZ = 8_000
PAUSE_S = 2.0
NOISE_DB = -15.0
MOST_WRONG = 0.35
"""Of the words of a clean line: more than that is a failure."""

TUNED = (
    "Please transfer the payment to the account in Denver before Friday morning.",
    "The delivery of seven yellow boxes will arrive on Monday afternoon.",
    "My telephone number ends with four two nine, call me after lunch.",
)
UNHEARD = (
    "The museum opens at nine o'clock and closes before dinner.",
    "We would like to order twelve green chairs for the garden.",
    "Nobody answered the door, so I left the parcel with your neighbour.",
    "The doctor can see you next Wednesday morning at half past ten.",
    "Your invoice was sent last week to the address in Chicago.",
    "Can you spell the name of the street for me once more?",
    "I forgot my password and cannot open the customer portal.",
    "The technician is going to check the heating tomorrow.",
    "Thank you for waiting, somebody will help you in a moment.",
)
VOICES = (("rms", ""), ("slt", "unheard"), ("awb", "unheard"), ("hibari", "unheard"))


def line(sentences: Sequence[str], voice: str, noise_db: float | None) -> Samples:
    """A call in which they are said one after the other."""
    pause = np.zeros(int(PAUSE_S * RATE_HZ), np.float32)
    spoken = [say(sentence, voice=voice).loop() for sentence in sentences]
    samples = np.concatenate([part for each in spoken for part in (pause, each)])
    if noise_db is not None:
        level = np.sqrt(np.mean(np.square(np.concatenate(spoken)))) * 10 ** (noise_db / 20)
        noise = np.random.default_rng(1).normal(0.0, level, len(samples))
        samples = np.clip(samples + noise, -1.0, 1.0).astype(np.float32)
    return decode(encode(samples, Law.PCMU), Law.PCMU)


def cpu_s(process_id: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Bench:
    """One worker for everything, warm after the first file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "line.wav"
        self._worker = Worker()
        self.recogniser = MoonshineRecogniser(self._worker)

    async def hear(self, samples: Samples) -> tuple[str, float]:
        """The words, and CPU seconds per second of audio."""
        soundfile.write(self._path, samples, RATE_HZ)
        before = cpu_s(self._worker.process_id) if self._worker.process_id else 0.0
        text = await self.recogniser.transcribe(self._path)
        spent = cpu_s(self._worker.process_id) - before if self._worker.process_id else 0.0
        return text, spent * RATE_HZ / len(samples)


async def measure(folder: Path) -> bool:
    """Prints the figures; whether they are as they must be."""
    bench, good = Bench(folder), True
    await bench.hear(line(TUNED[:1], "rms", None))
    print(f"{'voice':8} {'':8} {'sentences':10} {'clean WER':>10} {'noise WER':>10} {'CPU':>8}")
    for voice, kind in VOICES:
        for name, sentences in (("tuned", TUNED), ("unheard", UNHEARD)):
            said = " ".join(sentences)
            count = len(plain_words(said))
            clean, cost = await bench.hear(line(sentences, voice, None))
            noisy, _cost = await bench.hear(line(sentences, voice, NOISE_DB))
            rates = [word_errors(said, text) / count for text in (clean, noisy)]
            good = good and rates[0] <= MOST_WRONG
            print(f"{voice:8} {kind:8} {name:10} {rates[0]:10.1%} {rates[1]:10.1%} {cost:8.3f}")
    invented = ""
    for level in (0.0, 0.001, 0.03, 0.2):
        samples = np.random.default_rng(2).normal(0.0, level, 60 * RATE_HZ).astype(np.float32)
        text, cost = await bench.hear(samples)
        invented += text
    print(f"words in 4 minutes of silence and noise: {len(plain_words(invented))}; CPU {cost:.3f}")
    await bench.recogniser.close()
    return good and not invented


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return 0 if asyncio.run(measure(Path(folder))) else 1
        except VoiceMissing as error:
            print(f"not measured: {error}")
            return 1


if __name__ == "__main__":
    sys.exit(main())
