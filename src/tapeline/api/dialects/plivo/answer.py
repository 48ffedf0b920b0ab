"""Plivo answer documents to verbs (contract §6)."""

from functools import partial

from tapeline.api.accountstyle.answer import Readers, read_answer
from tapeline.api.accountstyle.dialverb import read_dial
from tapeline.api.accountstyle.mediaverbs import (
    read_get_digits,
    read_get_input,
    read_play,
    read_record,
    read_speak,
)
from tapeline.api.accountstyle.verbs import read_conference, read_hangup, read_redirect, read_wait
from tapeline.api.dialects.plivo.wire import PROFILE
from tapeline.domain.verb import AnswerDocument

READERS: Readers = {
    "Conference": read_conference,
    "Dial": partial(read_dial, header_prefix=PROFILE.header_prefix),
    "GetDigits": read_get_digits,
    "GetInput": read_get_input,
    "Hangup": read_hangup,
    "Play": read_play,
    "Record": partial(read_record, silence_s=15, finish_keys="#", follows=True),
    "Redirect": read_redirect,
    "Speak": read_speak,
    "Wait": read_wait,
}
ROOM_DOCUMENT = "<Response><Conference>{{match}}</Conference></Response>"


def parse_answer(document: bytes) -> AnswerDocument:
    return read_answer(document, READERS)
