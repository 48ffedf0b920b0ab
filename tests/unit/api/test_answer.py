"""Answer documents to verbs."""

import re

import pytest

from tapeline.api.dialects.vobiz.answer import ROOM_DOCUMENT, parse_answer
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.recording import (
    RecordingFormat,
    RecordingOptions,
)
from tapeline.domain.verb import (
    Action,
    HangUp,
    JoinConference,
    RecordOnJoin,
    Redirect,
    Verb,
    Wait,
)

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        ("<Conference>MyConf</Conference>", JoinConference(name="MyConf")),
        ("<Conference> a/b &amp; é </Conference>", JoinConference(name="a/b & é")),
        (
            (
                '<Conference muted="True" startConferenceOnEnter="FALSE" endConferenceOnExit="true"'
                ' maxMembers="5" timeLimit="60" record="true" recordFileFormat="wav"'
                ' action="https://h/a?x=1&amp;y=2#rc=2" method="GET" redirect="false"'
                ' callbackUrl="http://h/c" callbackMethod="get">R</Conference>'
            ),
            JoinConference(
                name="R",
                muted=True,
                start_on_enter=False,
                end_on_exit=True,
                max_members=5,
                time_limit_ms=60_000,
                action=Action(url="https://h/a?x=1&y=2#rc=2", method="GET", follows=False),
                callback_url="http://h/c",
                callback_method="GET",
                record=RecordOnJoin(
                    options=RecordingOptions(format=RecordingFormat.WAV),
                    callback_url="http://h/c",
                    callback_method="GET",
                    extras={"verb": "conference"},
                ),
            ),
        ),
        (
            '<Conference maxParticipants="7" muted="" action="">R</Conference>',
            JoinConference(name="R", max_members=7),
        ),
        ("<Wait/>", Wait(duration_ms=1_000)),
        ('<Wait length="3"/>', Wait(duration_ms=3_000)),
        ("<Hangup/>", HangUp()),
        ('<Hangup reason="rejected" schedule="5"/>', HangUp(after_ms=5_000, reject_status=603)),
        ('<Hangup reason="busy"/>', HangUp(reject_status=486)),
        ("<Redirect>https://h/next</Redirect>", Redirect(url="https://h/next")),
        ('<Redirect method="GET">http://h/</Redirect>', Redirect(url="http://h/", method="GET")),
    ],
)
def test_elements_become_verbs(inside: str, verb: Verb) -> None:
    document = parse_answer(f"{HEAD}<Response>{inside}</Response>".encode())

    assert document.verbs == (verb,)
    assert document.ignored == ()


def test_verbs_keep_their_order_and_an_empty_document_has_none() -> None:
    document = parse_answer(b"<Response><!-- a --><Wait/><Hangup/></Response>")

    assert document.verbs == (Wait(), HangUp())
    assert parse_answer(b"<Response/>").verbs == ()


def test_what_has_no_effect_here_is_listed() -> None:
    document = parse_answer(
        b'<Response version="2"><Conference waitSound="http://h/w" beep="true" hue="red">R'
        b'</Conference><Wait silence="true"/></Response>'
    )

    assert document.ignored == (
        "Conference.waitSound",
        "Conference.beep",
        "Conference.hue",
        "Wait.silence",
        "Response.version",
    )


def test_the_built_in_room_is_an_answer_document() -> None:
    document = parse_answer(ROOM_DOCUMENT.replace("{{match}}", "blue").encode())

    assert document.verbs == (JoinConference(name="blue"),)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ("", "no XML"),
        ("hello", "no XML"),
        ("<Response>", "no XML"),
        ("<response/>", "must begin with <Response>"),
        ("<Response>\n<Dance/></Response>", "line 2, <Dance>: there is no such element"),
        ("<Response><conference>R</conference></Response>", "<conference>"),
        ("<Response><Conference/></Response>", "has no name"),
        ("<Response><Conference>a\tb</Conference></Response>", "control characters"),
        (f"<Response><Conference>{'x' * 257}</Conference></Response>", "longer than 256"),
        ('<Response><Conference muted="1">R</Conference></Response>', "true or false"),
        ('<Response><Conference maxMembers="0">R</Conference></Response>', "from 1 to"),
        ('<Response><Conference timeLimit="long">R</Conference></Response>', "a whole number"),
        ('<Response><Conference action="file:///x">R</Conference></Response>', "http or https"),
        ('<Response><Conference recordFileFormat="ogg">R</Conference></Response>', "mp3, wav"),
        ('<Response><Conference method="PUT">R</Conference></Response>', "post, get"),
        ("<Response><Wait><Wait/></Wait></Response>", "cannot stand inside <Wait>"),
        ('<Response><Hangup reason="bored"/></Response>', "rejected, busy"),
        ("<Response><Redirect/></Response>", "http or https"),
        ('<!DOCTYPE Response [<!ENTITY e "x">]><Response>&e;</Response>', "are refused"),
        ('<!DOCTYPE Response SYSTEM "http://h/x.dtd"><Response/>', "are refused"),
        ("<Response>&nbsp;</Response>", "no XML"),
        ('<?xml version="1.0" encoding="klingon"?><Response/>', "no XML"),
        (f"<Response>{'<Wait/>' * 1_000}</Response>", "more than 1000 elements"),
        ("<Response>" + "<a>" * 30_000, "levels"),
        (f"<Response>{' ' * 102_400}</Response>", "larger than 102400 bytes"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_its_place(document: str, said: str) -> None:
    with pytest.raises(AnswerInvalid, match=re.escape(said)):
        parse_answer(document.encode())
