"""Digits that calls are asked for, after a file, after words, or without either."""

from typing import Annotated

from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.wire.body import (
    Body,
    ClientState,
    CommandId,
    Text,
    once,
    read_body,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.playing import SpokenBody, read_file, spoken
from tapeline.api.schema import Between, HttpUrl
from tapeline.domain.account import Account
from tapeline.domain.command import GatherDigits, Hearing, StopGathering
from tapeline.domain.gather import GatherRules
from tapeline.domain.sound import Sound, SoundUse

_Millis = Annotated[int, Between(1, 3_600_000)]
_Count = Annotated[int, Between(1, 128)]
_Digits = Annotated[str, Between(0, 32)]


class _RulesBody(Body):
    minimum_digits: _Count = 1
    maximum_digits: _Count = 128
    timeout_millis: _Millis = 60_000
    inter_digit_timeout_millis: _Millis = 5_000
    terminating_digit: _Digits = "#"
    valid_digits: _Digits = "0123456789#*"
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class GatherBody(_RulesBody):
    initial_timeout_millis: _Millis = 5_000
    gather_id: Annotated[str, Between(1, 40)] | None = None


class _PromptedBody(_RulesBody):
    """`timeout_millis` is how long the first digit may take after the prompt."""

    maximum_tries: _Count = 3


class GatherAudioBody(_PromptedBody):
    audio_url: HttpUrl | None = None
    media_name: Text | None = None
    invalid_audio_url: HttpUrl | None = None
    invalid_media_name: Text | None = None


class GatherSpeakBody(SpokenBody, _PromptedBody):
    invalid_payload: Annotated[str, Between(1, 3_000)] | None = None


class GatherStopBody(Body):
    client_state: ClientState | None = None
    command_id: CommandId | None = None


def _rules(body: _RulesBody, *, first_ms: int, total_ms: int, tries: int = 1) -> GatherRules:
    return GatherRules(
        minimum=body.minimum_digits,
        maximum=body.maximum_digits,
        first_digit_ms=first_ms,
        between_digits_ms=body.inter_digit_timeout_millis,
        total_ms=total_ms,
        finish_keys=body.terminating_digit,
        valid_digits=body.valid_digits,
        tries=tries,
    )


def _prompted(body: _PromptedBody) -> GatherRules:
    longest_ms = body.timeout_millis + body.maximum_digits * body.inter_digit_timeout_millis
    return _rules(body, first_ms=body.timeout_millis, total_ms=longest_ms, tries=body.maximum_tries)


def _command(
    request: WireRequest,
    account: Account,
    body: _RulesBody,
    rules: GatherRules,
    *prompts: Hearing | None,
) -> GatherDigits:
    call_id = words.read_call_control_id(request.params["call_control_id"])
    prompt, invalid_prompt = prompts or (None, None)
    return GatherDigits(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        rules=rules,
        prompt=prompt,
        invalid_prompt=invalid_prompt,
        extras=state_extras(body.client_state),
    )


def read_gather(request: WireRequest, account: Account) -> GatherDigits:
    body = read_body(GatherBody, request)
    rules = _rules(body, first_ms=body.initial_timeout_millis, total_ms=body.timeout_millis)
    return _command(request, account, body, rules)


def read_gather_audio(request: WireRequest, account: Account) -> GatherDigits:
    body = read_body(GatherAudioBody, request)
    prompt = _file(read_file(body.audio_url, body.media_name))
    invalid = None
    if body.invalid_audio_url is not None or body.invalid_media_name is not None:
        invalid = _file(read_file(body.invalid_audio_url, body.invalid_media_name))
    return _command(request, account, body, _prompted(body), prompt, invalid)


def _file(sound: Sound) -> Hearing:
    return Hearing(sounds=(sound,), use=SoundUse.FILE)


def read_gather_speak(request: WireRequest, account: Account) -> GatherDigits:
    body = read_body(GatherSpeakBody, request)
    prompt = Hearing(sounds=(spoken(body, body.payload),), use=SoundUse.SPEECH)
    invalid = None
    if body.invalid_payload is not None:
        invalid = Hearing(sounds=(spoken(body, body.invalid_payload),), use=SoundUse.SPEECH)
    return _command(request, account, body, _prompted(body), prompt, invalid)


def read_gather_stop(request: WireRequest, account: Account) -> StopGathering:
    body = read_body(GatherStopBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return StopGathering(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        extras=state_extras(body.client_state),
    )
