"""Durable work after a recording has finished, off the way of live calls."""

from tapeline.pipeline.afterwork import Afterwork, begin_work, retry_work
from tapeline.pipeline.pipeline import Outfit, Pipeline
from tapeline.pipeline.scanner import Scanner
from tapeline.pipeline.storing import Storing
from tapeline.pipeline.transcription import Tools, Transcriber, new_transcript

__all__ = [
    "Afterwork",
    "Outfit",
    "Pipeline",
    "Scanner",
    "Storing",
    "Tools",
    "Transcriber",
    "begin_work",
    "new_transcript",
    "retry_work",
]
