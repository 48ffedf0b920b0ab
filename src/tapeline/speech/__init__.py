"""Words out of audio and audio out of words: the ports' default parts and their worker process."""

from tapeline.speech.recogniser import MoonshineRecogniser
from tapeline.speech.synthesiser import FirstThatSpeaks, HibariSynthesiser

__all__ = ["FirstThatSpeaks", "HibariSynthesiser", "MoonshineRecogniser"]
