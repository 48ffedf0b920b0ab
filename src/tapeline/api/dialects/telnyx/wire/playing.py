"""Files and speech for calls and conferences."""

import base64
from typing import Annotated, Literal

from pydantic import AfterValidator, ValidatorFunctionWrapHandler, WrapValidator

from tapeline.api.accountstyle.answer import spoken_text
from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.errors import NotAvailable
from tapeline.api.dialects.telnyx.wire.body import (
    Body,
    CallControlIds,
    ClientState,
    CommandId,
    Region,
    Text,
    check_base64,
    check_one_of,
    once,
    read_body,
    read_members,
    state_extras,
)
from tapeline.api.dialects.telnyx.wire.record import conference_ref
from tapeline.api.schema import Between, HttpUrl
from tapeline.domain.account import Account
from tapeline.domain.command import (
    Before,
    Hearing,
    Legs,
    PlayToCall,
    PlayToConference,
    SendDigits,
    SendDigitsToConference,
    StopPlayingToCall,
    StopPlayingToConference,
)
from tapeline.domain.error import DestinationFault, Invalid, MissingValue
from tapeline.domain.sound import Fetched, Given, Keys, Sound, SoundUse, Spoken

MOST_SPOKEN = 3_000
LONGEST_CONTENT = 8 * 1024 * 1024
"""Of Base64; a larger file is fetched from an address."""
BOTH_USES = frozenset({SoundUse.FILE, SoundUse.SPEECH})
_LEGS = {"self": Legs.OWN, "opposite": Legs.OTHER, "both": Legs.BOTH}
_BEFORE = {None: Before.KEPT, "current": Before.CURRENT_STOPS, "all": Before.ALL_STOPS}

FOR_EVER = "infinity"


def _check_loop(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """Without end it is 0."""
    return 0 if value == FOR_EVER else check(value)


Loop = Annotated[
    int,
    Between(1, 100),
    WrapValidator(_check_loop, json_schema_input_type=int | Literal["infinity"]),
]
Stop = Literal["current", "all"]
TargetLegs = Literal["self", "opposite", "both"]


class PlaybackStartBody(Body):
    """`cache_audio` has no effect: nothing is cached. `audio_type` is seen from the file itself."""

    audio_url: HttpUrl | None = None
    media_name: Text | None = None
    playback_content: (
        Annotated[str, Between(1, LONGEST_CONTENT), AfterValidator(check_base64)] | None
    ) = None
    audio_type: Literal["mp3", "wav"] = "mp3"
    cache_audio: bool = True
    loop: Loop = 1
    overlay: bool = False
    stop: Stop | None = None
    target_legs: TargetLegs = "self"
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class PlaybackStopBody(Body):
    stop: Stop = "all"
    overlay: bool = False
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class SpokenBody(Body):
    """Every voice is the one that is here; `voice_settings` and `service_level` have no effect."""

    payload: Annotated[str, Between(1, MOST_SPOKEN)]
    voice: Text
    payload_type: Literal["text", "ssml"] = "text"
    language: Text = "en-US"
    command_id: CommandId | None = None


class SpeakBody(SpokenBody):
    loop: Loop = 1
    service_level: Literal["basic", "premium"] = "premium"
    stop: Stop | None = None
    target_legs: TargetLegs = "self"
    client_state: ClientState | None = None


class ConferencePlayBody(Body):
    audio_url: HttpUrl | None = None
    media_name: Text | None = None
    call_control_ids: CallControlIds | None = None
    loop: Loop = 1
    region: Region | None = None


class ConferenceSpeakBody(SpokenBody):
    call_control_ids: CallControlIds | None = None
    region: Region | None = None


class ConferenceStopBody(Body):
    call_control_ids: CallControlIds | None = None
    region: Region | None = None


class SendDigitsBody(Body):
    digits: Text
    duration_millis: Annotated[int, Between(100, 500)] = 250
    client_state: ClientState | None = None
    command_id: CommandId | None = None


class ConferenceDigitsBody(SendDigitsBody):
    call_control_ids: CallControlIds | None = None


def read_file(audio_url: str | None, media_name: str | None, content: str | None = None) -> Sound:
    """Exactly one of them. Raises MissingValue, Invalid, DestinationFault."""
    check_one_of("audio_url", audio_url, "media_name", media_name)
    check_one_of("audio_url", audio_url, "playback_content", content)
    if media_name is not None:
        raise DestinationFault(media_name, "no media are stored on this server")
    if content is not None:
        return Given(base64.b64decode(content))
    if audio_url is None:
        raise MissingValue("audio_url")
    return Fetched(audio_url)


def spoken(body: SpokenBody, text: str) -> Spoken:
    """Raises Invalid for what is no SSML."""
    if body.payload_type == "ssml":
        try:
            text = spoken_text(text)
        except Invalid as error:
            raise Invalid(field="payload", value="…", expected=error.expected) from error
    return Spoken(text=text, voice=body.voice, language=body.language)


# calls


def read_playback_start(request: WireRequest, account: Account) -> PlayToCall:
    body = read_body(PlaybackStartBody, request)
    if body.overlay:
        raise NotAvailable("overlay")
    sound = read_file(body.audio_url, body.media_name, body.playback_content)
    return _play_to_call(request, account, body, sound, SoundUse.FILE)


def read_speak(request: WireRequest, account: Account) -> PlayToCall:
    body = read_body(SpeakBody, request)
    return _play_to_call(request, account, body, spoken(body, body.payload), SoundUse.SPEECH)


def _play_to_call(
    request: WireRequest,
    account: Account,
    body: PlaybackStartBody | SpeakBody,
    sound: Sound,
    use: SoundUse,
) -> PlayToCall:
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return PlayToCall(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        hearing=Hearing(
            sounds=(sound,), use=use, loops=body.loop, before=_BEFORE[body.stop], is_told=True
        ),
        legs=_LEGS[body.target_legs],
        extras=state_extras(body.client_state),
    )


def read_playback_stop(request: WireRequest, account: Account) -> StopPlayingToCall:
    """Speech too: there is no other command for it."""
    body = read_body(PlaybackStopBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return StopPlayingToCall(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        uses=BOTH_USES,
        only_current=body.stop == "current",
        extras=state_extras(body.client_state),
    )


def read_digits(request: WireRequest, account: Account) -> SendDigits:
    body = read_body(SendDigitsBody, request)
    call_id = words.read_call_control_id(request.params["call_control_id"])
    return SendDigits(
        once=once(account, call_id, body.command_id),
        account_id=account.id,
        call_id=call_id,
        keys=Keys(digits=body.digits, tone_ms=body.duration_millis),
        extras=state_extras(body.client_state),
    )


# conferences


def read_conference_digits(request: WireRequest, account: Account) -> SendDigitsToConference:
    body = read_body(ConferenceDigitsBody, request)
    conference = conference_ref(request, account)
    return SendDigitsToConference(
        once=once(account, conference.name, body.command_id),
        conference=conference,
        members=read_members(body.call_control_ids),
        keys=Keys(digits=body.digits, tone_ms=body.duration_millis),
    )


def read_conference_play(request: WireRequest, account: Account) -> PlayToConference:
    body = read_body(ConferencePlayBody, request)
    sound = read_file(body.audio_url, body.media_name)
    return PlayToConference(
        conference=conference_ref(request, account),
        members=read_members(body.call_control_ids),
        hearing=Hearing(sounds=(sound,), use=SoundUse.FILE, loops=body.loop, is_told=True),
    )


def read_conference_speak(request: WireRequest, account: Account) -> PlayToConference:
    body = read_body(ConferenceSpeakBody, request)
    conference = conference_ref(request, account)
    return PlayToConference(
        once=once(account, conference.name, body.command_id),
        conference=conference,
        members=read_members(body.call_control_ids),
        hearing=Hearing(sounds=(spoken(body, body.payload),), use=SoundUse.SPEECH, is_told=True),
    )


def read_conference_stop(request: WireRequest, account: Account) -> StopPlayingToConference:
    body = read_body(ConferenceStopBody, request)
    return StopPlayingToConference(
        conference=conference_ref(request, account),
        members=read_members(body.call_control_ids),
        uses=BOTH_USES,
    )
