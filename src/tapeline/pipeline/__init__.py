"""Durable work after a recording has finished, off the way of live calls."""

from tapeline.pipeline.transcription import Transcriber, new_transcript

__all__ = ["Transcriber", "new_transcript"]
