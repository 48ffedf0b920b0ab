"""Files, speech and digits for calls and for members of conferences."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from tapeline.api.accountstyle.answer import spoken_text
from tapeline.api.accountstyle.body import read_fields
from tapeline.api.accountstyle.mediaverbs import MAX_SPOKEN
from tapeline.api.accountstyle.resources.calls import call_id
from tapeline.api.accountstyle.resources.conferences import conference_ref, members
from tapeline.api.dialect import WireRequest
from tapeline.api.schema import HttpUrl, Lower, RequestBody, read_model
from tapeline.domain.account import Account
from tapeline.domain.command import (
    Hearing,
    Legs,
    PlayToCall,
    PlayToConference,
    SendDigits,
    StopPlayingToCall,
    StopPlayingToConference,
)
from tapeline.domain.sound import Fetched, Keys, SoundUse, Spoken

MOST_FILES = 20
_LONGEST_S = 86_400
_LEGS = {"aleg": Legs.OWN, "bleg": Legs.OTHER, "both": Legs.BOTH}
LegsWord = Annotated[Literal["aleg", "bleg", "both"], Lower]


def _split(value: object) -> object:
    """The SDKs send a JSON array or one text with commas (contract §3)."""
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


class _Heard(RequestBody):
    legs: LegsWord = "aleg"
    loop: bool = False
    """Until it is stopped, or `length` is over."""
    mix: bool = True
    """Into what the leg hears; else instead of it."""


class PlayBody(_Heard):
    urls: Annotated[
        list[HttpUrl],
        Field(min_length=1, max_length=MOST_FILES),
        BeforeValidator(_split, json_schema_input_type=list[str] | str),
    ]
    length: Annotated[int, Field(ge=1, le=_LONGEST_S)] | None = None
    """Seconds after which it ends, wherever it is."""


class _Text(RequestBody):
    text: Annotated[str, Field(max_length=MAX_SPOKEN)]
    voice: Annotated[str, Field(max_length=64)] = "WOMAN"
    language: Annotated[str, Field(max_length=35)] = "en-US"
    type: Annotated[Literal["text", "ssml"], Lower] = "text"

    def spoken(self) -> Spoken:
        """Raises Invalid for what is no SSML."""
        text = spoken_text(self.text) if self.type == "ssml" else self.text
        return Spoken(text=text, voice=self.voice, language=self.language)


class SpeakBody(_Heard, _Text):
    pass


class PlayToMemberBody(RequestBody):
    url: HttpUrl


class SpeakToMemberBody(_Text):
    pass


def _hearing(body: _Heard, *sounds: Fetched | Spoken, length_s: int | None = None) -> Hearing:
    return Hearing(
        sounds=sounds,
        use=SoundUse.SPEECH if isinstance(sounds[0], Spoken) else SoundUse.FILE,
        loops=0 if body.loop else 1,
        limit_ms=None if length_s is None else length_s * 1_000,
        instead=not body.mix,
    )


def read_play(request: WireRequest, account: Account) -> PlayToCall:
    body = read_model(PlayBody, read_fields(request))
    return PlayToCall(
        account_id=account.id,
        call_id=call_id(request),
        hearing=_hearing(body, *(Fetched(url) for url in body.urls), length_s=body.length),
        legs=_LEGS[body.legs],
    )


def read_speak(request: WireRequest, account: Account) -> PlayToCall:
    body = read_model(SpeakBody, read_fields(request))
    return PlayToCall(
        account_id=account.id,
        call_id=call_id(request),
        hearing=_hearing(body, body.spoken()),
        legs=_LEGS[body.legs],
    )


def read_stop(request: WireRequest, account: Account, *, use: SoundUse) -> StopPlayingToCall:
    return StopPlayingToCall(account_id=account.id, call_id=call_id(request), uses=frozenset({use}))


class DigitsBody(RequestBody):
    digits: Annotated[str, Field(max_length=64)]
    leg: LegsWord = "aleg"


def read_digits(request: WireRequest, account: Account) -> SendDigits:
    body = read_model(DigitsBody, read_fields(request))
    return SendDigits(
        account_id=account.id,
        call_id=call_id(request),
        keys=Keys(digits=body.digits),
        legs=_LEGS[body.leg],
    )


def read_play_to_member(request: WireRequest, account: Account) -> PlayToConference:
    body = read_model(PlayToMemberBody, read_fields(request))
    return PlayToConference(
        conference=conference_ref(request, account),
        members=members(request),
        hearing=Hearing(sounds=(Fetched(body.url),), use=SoundUse.FILE),
    )


def read_speak_to_member(request: WireRequest, account: Account) -> PlayToConference:
    body = read_model(SpeakToMemberBody, read_fields(request))
    return PlayToConference(
        conference=conference_ref(request, account),
        members=members(request),
        hearing=Hearing(sounds=(body.spoken(),), use=SoundUse.SPEECH),
    )


def read_stop_to_member(
    request: WireRequest, account: Account, *, use: SoundUse
) -> StopPlayingToConference:
    return StopPlayingToConference(
        conference=conference_ref(request, account),
        members=members(request),
        uses=frozenset({use}),
    )
