"""How nested things become JSON columns and come back. Only plain JSON values cross.

Decoding is strict about what it needs and forgives keys it does not know, so that a row written by
a newer version can still be read.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from typing import Any

from tapeline.domain.account import Account, AccountSettings, LinkPolicy, RecordingHabits
from tapeline.domain.delivery import CallbackMessage, Encoding, Failure, RetryPolicy
from tapeline.domain.e164 import NumberRules
from tapeline.domain.event import Event
from tapeline.domain.recording import (
    Health,
    HealthNote,
    Layout,
    RecordingFormat,
    RecordingOptions,
    Starter,
    TranscriptionRequest,
)
from tapeline.domain.signal import PauseAs
from tapeline.domain.transcript import Transcript
from tapeline.domain.trunk import CallerRules, SrtpPolicy, Trunk, TrunkTarget

Json = dict[str, Any]


def encode_settings(settings: AccountSettings) -> Json:
    return {
        "link_policy": settings.link_policy.value,
        "link_life_s": settings.link_life_s,
        "keep_announcing": settings.keep_announcing,
        "webhook_url": settings.webhook_url,
        "webhook_failover_url": settings.webhook_failover_url,
        "max_recordings_per_target": settings.max_recordings_per_target,
        "recording": asdict(settings.recording),
        "keep_days": settings.keep_days,
        "transcription_rate": settings.transcription_rate,
        "dialect": {name: dict(chosen) for name, chosen in settings.dialect.items()},
    }


def decode_settings(body: Json) -> AccountSettings:
    return AccountSettings(
        link_policy=LinkPolicy(body["link_policy"]),
        link_life_s=body["link_life_s"],
        keep_announcing=body["keep_announcing"],
        webhook_url=body["webhook_url"],
        webhook_failover_url=body["webhook_failover_url"],
        max_recordings_per_target=body["max_recordings_per_target"],
        recording=_decode_habits(body["recording"]),
        keep_days=body.get("keep_days", 0),
        transcription_rate=body["transcription_rate"],
        dialect=body["dialect"],
    )


def _decode_habits(body: Json) -> RecordingHabits:
    return RecordingHabits(
        pause_as=PauseAs(body["pause_as"]),
        pause_limit_s=body["pause_limit_s"],
        beep_every_s=body["beep_every_s"],
        beep_level_db=body["beep_level_db"],
        beep_in_file=body["beep_in_file"],
        tracks=body["tracks"],
    )


def encode_options(options: RecordingOptions) -> Json:
    request = options.transcription
    return {
        "format": options.format.value,
        "layout": options.layout.value,
        "limit_ms": options.limit_ms,
        "silence_limit_ms": options.silence_limit_ms,
        "silence_waits_for_speech": options.silence_waits_for_speech,
        "beep": options.beep,
        "trim_silence": options.trim_silence,
        "custom_name": options.custom_name,
        "pause_as": None if options.pause_as is None else options.pause_as.value,
        "tracks": options.tracks,
        "transcription": None
        if request is None
        else {"callback_url": request.callback_url, "callback_method": request.callback_method},
    }


def decode_options(body: Json) -> RecordingOptions:
    request = body["transcription"]
    return RecordingOptions(
        format=RecordingFormat(body["format"]),
        layout=Layout(body["layout"]),
        limit_ms=body["limit_ms"],
        silence_limit_ms=body["silence_limit_ms"],
        silence_waits_for_speech=body["silence_waits_for_speech"],
        beep=body["beep"],
        trim_silence=body["trim_silence"],
        custom_name=body["custom_name"],
        pause_as=None if body["pause_as"] is None else PauseAs(body["pause_as"]),
        tracks=body["tracks"],
        transcription=None
        if request is None
        else TranscriptionRequest(
            callback_url=request["callback_url"], callback_method=request["callback_method"]
        ),
    )


def encode_starter(starter: Starter) -> Json:
    return {
        "dialect": starter.dialect,
        "request_id": starter.request_id,
        "callback_url": starter.callback_url,
        "callback_method": starter.callback_method,
        "extras": dict(starter.extras),
        "policy_id": starter.policy_id,
    }


def decode_starter(body: Json) -> Starter:
    return Starter(
        dialect=body["dialect"],
        request_id=body["request_id"],
        callback_url=body["callback_url"],
        callback_method=body["callback_method"],
        extras=body["extras"],
        policy_id=body.get("policy_id"),
    )


def encode_health(notes: tuple[HealthNote, ...]) -> list[Json]:
    return [
        {
            "flag": note.flag.value,
            "reason": note.reason,
            "missing_ms": note.missing_ms,
            "odd_ms": note.odd_ms,
        }
        for note in notes
    ]


def decode_health(body: list[Json]) -> tuple[HealthNote, ...]:
    return tuple(
        HealthNote(
            flag=Health(note["flag"]),
            reason=note["reason"],
            missing_ms=note["missing_ms"],
            odd_ms=note["odd_ms"],
        )
        for note in body
    )


def encode_message(message: CallbackMessage) -> Json:
    retry = message.retry
    return {
        "url": message.url,
        "method": message.method,
        "encoding": message.encoding.value,
        "fields": dict(message.fields),
        "link_fields": list(message.link_fields),
        "link_life_s": message.link_life_s,
        "failover_url": message.failover_url,
        "retry": {
            "connect_timeout_ms": retry.connect_timeout_ms,
            "read_timeout_ms": retry.read_timeout_ms,
            "total_ms": retry.total_ms,
            "waits_ms": list(retry.waits_ms),
            "retry_on": sorted(failure.value for failure in retry.retry_on),
        },
        "announces_finished": message.announces_finished,
        "order_key": message.order_key,
        "extras": dict(message.extras),
    }


def decode_message(body: Json) -> CallbackMessage:
    retry = body["retry"]
    return CallbackMessage(
        url=body["url"],
        method=body["method"],
        encoding=Encoding(body["encoding"]),
        fields=body["fields"],
        link_fields=tuple(body["link_fields"]),
        link_life_s=body["link_life_s"],
        failover_url=body["failover_url"],
        retry=RetryPolicy(
            connect_timeout_ms=retry["connect_timeout_ms"],
            read_timeout_ms=retry["read_timeout_ms"],
            total_ms=retry["total_ms"],
            waits_ms=tuple(retry["waits_ms"]),
            retry_on=frozenset(Failure(word) for word in retry["retry_on"]),
        ),
        announces_finished=body["announces_finished"],
        order_key=body["order_key"],
        extras=body["extras"],
    )


def encode_trunk(trunk: Trunk) -> Json:
    """What has no column of its own."""
    return {
        "targets": [asdict(target) for target in trunk.targets],
        "priority": trunk.priority,
        "username": trunk.username,
        "registers": trunk.registers,
        "register_expires_s": trunk.register_expires_s,
        "proves_itself": trunk.proves_itself,
        "sources": list(trunk.sources),
        "watch_every_s": trunk.watch_every_s,
        "channel_limit": trunk.channel_limit,
        "codecs": list(trunk.codecs),
        "srtp": trunk.srtp.value,
        "numbers": asdict(trunk.numbers),
        "caller": asdict(trunk.caller),
    }


def decode_trunk(body: Json) -> Json:
    """The fields of a `Trunk`."""
    return {
        "targets": tuple(TrunkTarget(**_known(TrunkTarget, each)) for each in body["targets"]),
        "priority": body["priority"],
        "username": body["username"],
        "registers": body["registers"],
        "register_expires_s": body["register_expires_s"],
        "proves_itself": body["proves_itself"],
        "sources": tuple(body["sources"]),
        "watch_every_s": body["watch_every_s"],
        "channel_limit": body["channel_limit"],
        "codecs": tuple(body["codecs"]),
        "srtp": SrtpPolicy(body["srtp"]),
        "numbers": NumberRules(**_known(NumberRules, body["numbers"])),
        "caller": CallerRules(**_known(CallerRules, body["caller"])),
    }


def _known(kind: type[Any], body: Json) -> Json:
    names = {field.name for field in fields(kind)}
    return {key: value for key, value in body.items() if key in names}


def encode_event(event: Event) -> Json:
    """What the event carries beside its id, instant and account (whose secrets stay out)."""
    return {
        field.name: _plain(getattr(event, field.name))
        for field in fields(event)
        if field.name not in {"id", "at_ms", "account"}
    }


def _plain(value: object) -> object:
    """JSON for a domain value. Raises TypeError for what has none, an Account above all."""
    if isinstance(value, Account | bytes):
        raise TypeError(f"{type(value).__name__} does not belong in a stored event")
    if isinstance(value, Transcript):
        # Its words stay in its own row, where deleting the recording deletes them.
        value = replace(value, text="")
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")
