"""Vobiz answer documents to verbs (contract §6)."""

from tapeline.api.accountstyle.answer import Readers, read_answer
from tapeline.api.accountstyle.verbs import read_conference, read_hangup, read_redirect, read_wait
from tapeline.domain.verb import AnswerDocument

READERS: Readers = {
    "Conference": read_conference,
    "Wait": read_wait,
    "Hangup": read_hangup,
    "Redirect": read_redirect,
}
ROOM_DOCUMENT = "<Response><Conference>{{match}}</Conference></Response>"


def parse_answer(document: bytes) -> AnswerDocument:
    return read_answer(document, READERS)
