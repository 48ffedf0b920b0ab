"""Readers of the elements that play, speak, record and take digits."""

import re
from collections.abc import Mapping

from tapeline.api.accountstyle.answer import Node, Reader
from tapeline.api.accountstyle.told import VERB
from tapeline.api.accountstyle.verbs import (
    DAY_S,
    FORMATS,
    read_action,
    read_transcription,
    read_wait,
)
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.recording import Layout, RecordingFormat, RecordingOptions
from tapeline.domain.verb import GetDigits, Play, RecordCall, Speak, Wait

MAX_SPOKEN = 3_000
MAX_LOOPS = 1_000
ALL_KEYS = "1234567890*#"
_LAYOUTS = {"mono": Layout.MIX, "stereo": Layout.CALLER_CALLEE}
_RECORD_LIMIT_S = 60
_INPUT_WAIT_S = 15
_MAX_DIGITS = 99
_KEYS = frozenset("0123456789*#")


def read_play(node: Node) -> Play:
    return Play(url=node.check_url("the address", node.text), loops=_loops(node))


def read_speak(node: Node) -> Speak:
    """SSML inside counts as the text in it."""
    text = node.take_spoken()
    if not text:
        raise AnswerInvalid("there is nothing to say", place=node.place)
    if len(text) > MAX_SPOKEN:
        raise AnswerInvalid(f"more than {MAX_SPOKEN} characters to say", place=node.place)
    return Speak(
        text=text,
        voice=node.take("voice") or "",
        language=node.take("language") or "en-US",
        loops=_loops(node),
    )


def _loops(node: Node) -> int:
    loops = node.take_number("loop", low=0, high=MAX_LOOPS)
    return 1 if loops is None else loops


def read_record(node: Node, *, silence_s: int, finish_keys: str, follows: bool) -> RecordCall:
    """`silence_s`, `finish_keys` and `follows` are the dialect's defaults of `timeout`,
    `finishOnKey` and `redirect`. What ends a prompt has no effect on a session.
    """
    on_dial = node.take_flag("startOnDialAnswer", default=False)
    in_background = node.take_flag("recordSession", default=False) or on_dial
    silence = node.take_number("timeout", low=1, high=DAY_S) or silence_s
    beep = node.take_flag("playBeep", default=True)
    keys = _keys(node, "finishOnKey", default=finish_keys)
    limit_s = node.take_number("maxLength", low=1, high=DAY_S) or _RECORD_LIMIT_S
    node.take("transcriptionReportType")
    return RecordCall(
        options=RecordingOptions(
            format=node.take_word("fileFormat", FORMATS, default=RecordingFormat.MP3),
            layout=node.take_word("recordChannelType", _LAYOUTS, default=Layout.CALLER_CALLEE),
            limit_ms=limit_s * 1_000,
            silence_limit_ms=0 if in_background else silence * 1_000,
            beep=beep and not in_background,
            transcription=read_transcription(node),
        ),
        in_background=in_background,
        starts_on_dial_answer=on_dial,
        finish_keys="" if in_background else keys,
        action=read_action(node, follows=follows),
        callback_url=node.take_url("callbackUrl"),
        callback_method=node.take_method("callbackMethod"),
        extras={VERB: "record"},
    )


def _keys(node: Node, name: str, *, default: str) -> str:
    """Any of these keys; `none` is none, `any` all."""
    value = node.take(name)
    if value is None:
        return default
    if value.lower() == "none":
        return ""
    if value.lower() == "any":
        return ALL_KEYS
    if not set(value) <= _KEYS:
        raise node.wrong(name, value, "of 0-9, * and #, or none")
    return value


_PROMPTS: Mapping[str, Reader] = {"Play": read_play, "Speak": read_speak, "Wait": read_wait}


def _prompts(node: Node) -> tuple[Play | Speak | Wait, ...]:
    read = node.take_children(_PROMPTS)
    return tuple(verb for verb in read if isinstance(verb, Play | Speak | Wait))


def read_get_digits(node: Node) -> GetDigits:
    sound = node.take_url("invalidDigitsSound")
    node.take("log")
    return GetDigits(
        prompts=_prompts(node),
        action=read_action(node, follows=True),
        first_digit_ms=_seconds(node, "timeout", 5) * 1_000,
        between_digits_ms=_seconds(node, "digitTimeout", 2) * 1_000,
        finish_keys=_keys(node, "finishOnKey", default="#"),
        max_digits=node.take_number("numDigits", low=1, high=_MAX_DIGITS) or _MAX_DIGITS,
        valid_digits=_keys(node, "validDigits", default=ALL_KEYS),
        tries=node.take_number("retries", low=1, high=_MAX_DIGITS) or 1,
        invalid_prompt=None if sound is None else Play(url=sound),
        beep=node.take_flag("playBeep", default=False),
    )


def read_get_input(node: Node) -> GetDigits:
    """`<GetInput>` and `<Gather>`, of which the digits are understood."""
    kinds = (node.take("inputType") or "dtmf").lower().split()
    if "dtmf" not in kinds:
        raise node.wrong("inputType", " ".join(kinds), "dtmf, or both dtmf and speech")
    node.take("log")
    between = node.take("digitEndTimeout")
    return GetDigits(
        prompts=_prompts(node),
        action=read_action(node, follows=True),
        first_digit_ms=_seconds(node, "executionTimeout", _INPUT_WAIT_S) * 1_000,
        between_digits_ms=_between(node, between) * 1_000,
        finish_keys=_keys(node, "finishOnKey", default="#"),
        max_digits=node.take_number("numDigits", low=1, high=_MAX_DIGITS) or 32,
    )


def _seconds(node: Node, name: str, default: int) -> int:
    seconds = node.take_number(name, low=0, high=DAY_S)
    return default if seconds is None else seconds


def _between(node: Node, value: str | None) -> int:
    if value is None or value.lower() == "auto":
        return 2
    if not re.fullmatch("[0-9]{1,2}", value) or not 1 <= int(value) <= 60:  # noqa: PLR2004
        raise node.wrong("digitEndTimeout", value, "auto, or from 1 to 60")
    return int(value)
