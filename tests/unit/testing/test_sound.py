import io
import wave

import numpy as np
import pytest

from tapeline.testing.sound import SoundUnreadable, read_sound


def wav_bytes(samples: np.ndarray, channels: int = 1) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(samples.astype("<i2").tobytes())
    return content.getvalue()


def test_a_wav_has_its_samples_and_channels() -> None:
    sound = read_sound(wav_bytes(np.array([0, 16384, -16384, 32767]), channels=2))

    assert (sound.channels, sound.frame_count, sound.rate_hz) == (2, 2, 8000)
    assert sound.channel(1).tolist() == pytest.approx([0.5, 1.0], abs=1e-4)
    assert sound.duration_ms == 0.25


def test_what_is_no_audio_is_refused() -> None:
    with pytest.raises(SoundUnreadable):
        read_sound(b"hello")
