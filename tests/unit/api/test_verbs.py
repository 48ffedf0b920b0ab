"""Elements that play, speak, record, dial and take digits, as each account-style dialect has
them.
"""

import re
from typing import Any

import pytest

from tapeline.api.dialect import find_dialects
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.recording import (
    Layout,
    RecordingFormat,
    RecordingOptions,
    TranscriptionRequest,
)
from tapeline.domain.sound import Keys
from tapeline.domain.verb import (
    Action,
    AnswerDocument,
    Dial,
    DialTarget,
    GetDigits,
    JoinConference,
    Play,
    RecordCall,
    RecordOnJoin,
    Speak,
    Verb,
    Wait,
)

DIALECTS = {name: find_dialects()[name] for name in ("plivo", "vobiz")}
STEREO = Layout.CALLER_CALLEE


def parse(inside: str, dialect: str = "plivo") -> AnswerDocument:
    answers = DIALECTS[dialect].answers
    assert answers is not None
    return answers.parse(f"<Response>{inside}</Response>".encode())


def record(**changes: Any) -> RecordCall:
    options = {"layout": STEREO, "limit_ms": 60_000, "silence_limit_ms": 15_000, "beep": True}
    options |= changes.pop("options", {})
    fields: dict[str, Any] = {"finish_keys": "#", "extras": {"verb": "record"}, **changes}
    return RecordCall(options=RecordingOptions(**options), **fields)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        ("<Play>https://h/a.mp3</Play>", Play(url="https://h/a.mp3")),
        ('<Play loop="0">http://h/a.wav</Play>', Play(url="http://h/a.wav", loops=0)),
        ("<Speak>Good  day</Speak>", Speak(text="Good day")),
        (
            '<Speak voice="Polly.Amy" language="en-GB" loop="2">Hi</Speak>',
            Speak(text="Hi", voice="Polly.Amy", language="en-GB", loops=2),
        ),
        (
            '<Speak>one <break time="1s"/><prosody rate="slow">two</prosody> three</Speak>',
            Speak(text="one two three"),
        ),
        (
            "<Dial><Number>sip:a@h</Number></Dial>",
            Dial(targets=(DialTarget(uri="sip:a@h"),)),
        ),
        (
            "<Dial><Number>15551230000</Number><Number>030 123456</Number><User>bob</User></Dial>",
            Dial(
                targets=(
                    DialTarget(uri="+15551230000"),
                    DialTarget(uri="030 123456"),
                    DialTarget(uri="bob"),
                )
            ),
        ),
        (
            (
                '<Dial action="http://h/d" method="GET" redirect="false" timeout="9" timeLimit="60"'
                ' callerId="+1555" callerName="Ada" hangupOnStar="True" callbackUrl="http://h/c"'
                ' callbackMethod="GET"><User sendDigits="1w2">b@h:5080</User>'
                "<Number>SIP:c@h</Number></Dial>"
            ),
            Dial(
                targets=(
                    DialTarget(uri="sip:b@h:5080", keys=Keys(digits="1w2")),
                    DialTarget(uri="sip:c@h"),
                ),
                caller="+1555",
                caller_name="Ada",
                ring_limit_ms=9_000,
                time_limit_ms=60_000,
                hang_up_on_star=True,
                action=Action(url="http://h/d", method="GET", follows=False),
                callback_url="http://h/c",
                callback_method="GET",
            ),
        ),
        (
            '<GetDigits action="http://h/g"/>',
            GetDigits(action=Action(url="http://h/g")),
        ),
        (
            (
                '<GetDigits timeout="7" digitTimeout="3" finishOnKey="none" numDigits="4"'
                ' validDigits="123" retries="2" playBeep="true" invalidDigitsSound="http://h/no">'
                "<Speak>Pin</Speak><Play>http://h/p</Play><Wait/></GetDigits>"
            ),
            GetDigits(
                prompts=(Speak(text="Pin"), Play(url="http://h/p"), Wait()),
                first_digit_ms=7_000,
                between_digits_ms=3_000,
                finish_keys="",
                max_digits=4,
                valid_digits="123",
                tries=2,
                invalid_prompt=Play(url="http://h/no"),
                beep=True,
            ),
        ),
        (
            '<GetInput inputType="dtmf speech" executionTimeout="20" digitEndTimeout="4"/>',
            GetDigits(first_digit_ms=20_000, between_digits_ms=4_000, max_digits=32),
        ),
        (
            '<Conference hangupOnStar="true" digitsMatch="1, 22,*9">R</Conference>',
            JoinConference(name="R", hang_up_on_star=True, digits_match=("1", "22", "*9")),
        ),
        (
            '<Conference record="True" transcriptionUrl="http://h/t">R</Conference>',
            JoinConference(
                name="R",
                record=RecordOnJoin(
                    options=RecordingOptions(
                        transcription=TranscriptionRequest(callback_url="http://h/t")
                    ),
                    extras={"verb": "conference"},
                ),
            ),
        ),
    ],
)
def test_elements_become_verbs(dialect: str, inside: str, verb: Verb) -> None:
    document = parse(inside, dialect)

    assert document.verbs == (verb,)
    assert document.ignored == ()


@pytest.mark.parametrize(
    ("inside", "verb"),
    [
        ("<Record/>", record()),
        (
            (
                '<Record action="http://h/a" redirect="false" fileFormat="wav" timeout="4"'
                ' maxLength="30" playBeep="False" finishOnKey="12" recordChannelType="mono"'
                ' transcriptionType="auto" transcriptionUrl="http://h/t" callbackUrl="http://h/c"'
                ' callbackMethod="GET"/>'
            ),
            record(
                options={
                    "format": RecordingFormat.WAV,
                    "layout": Layout.MIX,
                    "limit_ms": 30_000,
                    "silence_limit_ms": 4_000,
                    "beep": False,
                    "transcription": TranscriptionRequest(callback_url="http://h/t"),
                },
                finish_keys="12",
                action=Action(url="http://h/a", follows=False),
                callback_url="http://h/c",
                callback_method="GET",
            ),
        ),
        (
            '<Record recordSession="true" maxLength="3600" timeout="3" finishOnKey="9"/>',
            record(
                options={"limit_ms": 3_600_000, "silence_limit_ms": 0, "beep": False},
                in_background=True,
                finish_keys="",
            ),
        ),
        (
            '<Record startOnDialAnswer="true"/>',
            record(
                options={"silence_limit_ms": 0, "beep": False},
                in_background=True,
                starts_on_dial_answer=True,
                finish_keys="",
            ),
        ),
        ('<Record finishOnKey="none"/>', record(finish_keys="")),
        ('<Record finishOnKey="any"/>', record(finish_keys="1234567890*#")),
    ],
)
def test_recordings(inside: str, verb: Verb) -> None:
    assert parse(inside).verbs == (verb,)


@pytest.mark.parametrize(
    ("dialect", "silence_ms", "keys", "follows"),
    [("plivo", 15_000, "#", True), ("vobiz", 60_000, "1234567890*#", False)],
)
def test_what_a_recording_is_when_nothing_is_said(
    dialect: str, silence_ms: int, keys: str, *, follows: bool
) -> None:
    (verb,) = parse('<Record action="http://h/a"/>', dialect).verbs

    assert verb == record(
        options={"silence_limit_ms": silence_ms},
        finish_keys=keys,
        action=Action(url="http://h/a", follows=follows),
    )


@pytest.mark.parametrize(("dialect", "prefix"), [("plivo", "X-PH-"), ("vobiz", "X-VH-")])
def test_sip_headers_carry_the_dialects_prefix(dialect: str, prefix: str) -> None:
    text = f'<Dial sipHeaders="a=1,{prefix}b=2"><User sipHeaders="c=3">a@h</User></Dial>'

    (verb,) = parse(text, dialect).verbs

    assert isinstance(verb, Dial)
    assert verb.headers == {f"{prefix}a": "1", f"{prefix}b": "2"}
    assert verb.targets[0].headers == {f"{prefix}c": "3"}


def test_gather_is_one_dialects_word() -> None:
    (verb,) = parse('<Gather inputType="dtmf"><Speak>Pin</Speak></Gather>', "vobiz").verbs

    assert verb == GetDigits(prompts=(Speak(text="Pin"),), first_digit_ms=15_000, max_digits=32)
    with pytest.raises(AnswerInvalid, match="no such element"):
        parse("<Gather/>", "plivo")


def test_what_has_no_effect_is_listed() -> None:
    dial = '<Dial digitsMatch="1"><User hue="red">a@h</User></Dial>'
    document = parse(f'{dial}<Speak x="1">a</Speak>')

    assert document.ignored == ("User.hue", "Dial.digitsMatch", "Speak.x")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("inside", "said"),
    [
        ("<Play/>", "http or https"),
        ('<Play loop="-1">http://h/</Play>', "a whole number"),
        ("<Speak/>", "nothing to say"),
        (f"<Speak>{'x' * 3_001}</Speak>", "more than 3000"),
        ("<Dial/>", "from 1 to 20"),
        ("<Dial>sip:a@h</Dial>", "from 1 to 20"),
        ("<Dial><Number>+1 what</Number></Dial>", "the name of an endpoint"),
        ("<Dial><Speak>a</Speak></Dial>", "cannot stand inside <Dial>"),
        ("<Dial><User>a@h<Speak>b</Speak></User></Dial>", "cannot stand inside <User>"),
        (f'<Dial callerName="{"x" * 51}"><User>a@h</User></Dial>', "at most 50"),
        ('<Dial sipHeaders="a b=1"><User>a@h</User></Dial>', "key=value"),
        ('<Dial><User sipHeaders="a=1&#13;&#10;X: y">a@h</User></Dial>', "key=value"),
        ('<Dial><User sendDigits="x">a@h</User></Dial>', "sendDigits"),
        ("<GetDigits><GetDigits/></GetDigits>", "cannot stand inside <GetDigits>"),
        ('<GetDigits finishOnKey="x"/>', "or none"),
        ('<GetDigits numDigits="0"/>', "from 1 to 99"),
        ('<GetInput inputType="speech"/>', "dtmf"),
        ('<GetInput digitEndTimeout="soon"/>', "auto, or from 1 to 60"),
        (f'<GetInput digitEndTimeout="{"9" * 5_000}"/>', "auto, or from 1 to 60"),
        ('<Record recordChannelType="5.1"/>', "mono, stereo"),
        ('<Record maxLength="0"/>', "from 1 to"),
        ('<Record finishOnKey="abc"/>', "or none"),
        ("<Record><Speak>a</Speak></Record>", "cannot stand inside <Record>"),
        ('<Conference digitsMatch="1,x">R</Conference>', "divided by commas"),
        ("<Number>sip:a@h</Number>", "there is no such element"),
        ("<PreAnswer/>", "there is no such element"),
    ],
)
def test_what_cannot_be_followed_is_refused(dialect: str, inside: str, said: str) -> None:
    with pytest.raises(AnswerInvalid, match=re.escape(said)):
        parse(inside, dialect)
