"""Call programs: what a call does next. One runs for each live call."""

from tapeline.flow.asker import HttpAsker, Voice
from tapeline.flow.commanded import Commanded
from tapeline.flow.documents import Asker, Documents
from tapeline.flow.program import CallPrograms, Program
from tapeline.flow.walker import Walker

__all__ = [
    "Asker",
    "CallPrograms",
    "Commanded",
    "Documents",
    "HttpAsker",
    "Program",
    "Voice",
    "Walker",
]
