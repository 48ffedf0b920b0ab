"""Spoken words to say into a call, by the `flite` command or by the voice inside `hibari-tts`, and
how well they were understood.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from tapeline.testing.g711 import Samples
from tapeline.testing.sound import read_sound
from tapeline.testing.tones import RATE_HZ, Clip

HIBARI = "hibari"
SPEECH_S = 60.0
"""How long the command may take."""


class VoiceMissing(Exception):
    """What speaks with that voice is not installed; the message says what."""


def say(text: str, *, voice: str = "rms") -> Clip:
    """The words as a source. `voice`: one of flite's (`rms`, `slt`, `awb`, `kal16`), or `hibari`.

    Takes about a tenth of the speech's length. Raises VoiceMissing.
    """
    samples, rate_hz = _by_hibari(text) if voice == HIBARI else _by_flite(text, voice)
    return Clip(tuple(telephone_band(samples, rate_hz).tolist()))


def plain_words(text: str) -> list[str]:
    """Lower case, without punctuation."""
    return "".join(c if c.isalnum() else " " for c in text.lower().replace("'", "")).split()


def word_errors(said: str, heard: str) -> int:
    """Words to change, add or take away to make `said` of `heard`; over the number of words said
    that is the word error rate.
    """
    wanted = plain_words(said)
    row = list(range(len(wanted) + 1))
    for place, word in enumerate(plain_words(heard), start=1):
        before, row = row, [place]
        for column, other in enumerate(wanted):
            replaced = before[column] + (word != other)
            row.append(min(replaced, before[column + 1] + 1, row[column] + 1))
    return row[-1]


def telephone_band(samples: Samples, rate_hz: int) -> Samples:
    """At 8 kHz, what a telephone does not carry cut off."""
    count = len(samples) * RATE_HZ // rate_hz
    spectrum = np.fft.rfft(samples)[: count // 2 + 1]
    band: Samples = (np.fft.irfft(spectrum, count) * (count / len(samples))).astype(np.float32)
    return band


def _by_flite(text: str, voice: str) -> tuple[Samples, int]:
    command = shutil.which("flite")
    if command is None:
        raise VoiceMissing("the flite command is not installed (Debian's package flite)")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "words.wav"
        words = (command, "-voice", voice, "-t", text, "-o", str(path))
        subprocess.run(words, check=True, capture_output=True, timeout=SPEECH_S)  # noqa: S603
        sound = read_sound(path)
    return sound.mono(), sound.rate_hz


def _by_hibari(text: str) -> tuple[Samples, int]:
    try:
        from hibari import Hibari
    except ImportError as error:
        raise VoiceMissing("hibari-tts is not installed (tapeline[speech])") from error
    voice = Hibari(threads=1)
    samples: Samples = voice(text, seed=1)
    return samples, int(voice.sample_rate)
