"""Any bytes as an answer document: verbs or AnswerInvalid, nothing else."""

import contextlib

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tapeline.api.dialect import find_dialects
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.verb import AnswerDocument

PARSERS = [each.answers.parse for each in find_dialects().values() if each.answers is not None]
NAMES = st.sampled_from(
    [
        "Response",
        "Conference",
        "Wait",
        "Hangup",
        "Redirect",
        "Record",
        "Dial",
        "Number",
        "User",
        "Play",
        "Speak",
        "GetDigits",
        "GetInput",
        "Gather",
        "break",
        "conference",
        "x:y",
    ]
)
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "muted",
            "maxMembers",
            "timeLimit",
            "action",
            "length",
            "reason",
            "schedule",
            "method",
            "recordSession",
            "finishOnKey",
            "recordChannelType",
            "transcriptionUrl",
            "digitsMatch",
            "sipHeaders",
            "sendDigits",
            "loop",
            "numDigits",
            "digitEndTimeout",
            "inputType",
        ]
    ),
    st.text(max_size=12)
    | st.sampled_from(
        [
            "true",
            "True",
            "5",
            "-1",
            "1e9",
            "none",
            "a=b",
            "dtmf",
            "²",
            "http://h/",
            "http://[",
            "9" * 40,
        ]
    ),
    max_size=3,
)
TEXT = st.text(max_size=12) | st.sampled_from(
    ["http://h/next", "sip:a@h", "&amp;", "&lol;", "<![CDATA[x]]>"]
)


@st.composite
def elements(draw: st.DrawFn, depth: int = 0) -> str:
    name = draw(NAMES)
    pairs = draw(ATTRIBUTES).items()
    given_ = "".join(f' {key}="{value}"' for key, value in pairs)
    children = draw(st.lists(elements(depth + 1), max_size=3)) if depth < 3 else []
    return f"<{name}{given_}>{draw(TEXT)}{''.join(children)}</{name}>"


def follow(document: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(AnswerInvalid):
            assert isinstance(parse(document), AnswerDocument)


@given(st.binary(max_size=400))
@example(b"<?xml version='1.0' encoding='utf-7'?><Response/>")
@example(b"<?xml version='1.0' encoding='utf-16'?><Response/>")
@example(b"\xff\xfe<\x00R\x00e\x00s\x00p\x00o\x00n\x00s\x00e\x00/\x00>\x00")
@example(b"\x00")
@example(b"<!DOCTYPE r [<!ENTITY a 'a'><!ENTITY b '&a;&a;'>]><r>&b;</r>")
@settings(max_examples=300, deadline=None)
def test_any_bytes(document: bytes) -> None:
    follow(document)


@given(st.lists(elements(), max_size=4))
@settings(max_examples=300, deadline=None)
def test_almost_documents(inside: list[str]) -> None:
    follow(f"<Response>{''.join(inside)}</Response>".encode("utf-8", errors="replace"))


@given(
    st.integers(0, 60),
    st.binary(max_size=5),
    st.sampled_from(PARSERS).map(lambda _: b'<Response><Conference muted="true">R</Conference>'),
)
@settings(max_examples=300, deadline=None)
def test_mutated_documents(at: int, bytes_: bytes, document: bytes) -> None:
    whole = document + b"</Response>"

    follow(whole[:at] + bytes_ + whole[at + len(bytes_) :])
