"""What a call does at its start: nothing. It waits for commands; there are no answer documents."""

from tapeline.api.dialect import Answers

ANSWERS: Answers | None = None
