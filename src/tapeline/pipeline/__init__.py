"""Durable work after a recording has finished, off the way of live calls."""

from tapeline.pipeline.transcription import Tools, Transcriber, new_transcript

__all__ = ["Tools", "Transcriber", "new_transcript"]
