"""How things look on the command line: one flat record each, as text or as JSON."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import singledispatch
from typing import Any

import typer

from tapeline.domain.account import Account
from tapeline.domain.application import Application, Number
from tapeline.domain.call import Call
from tapeline.domain.command import (
    AccountCreated,
    BucketView,
    ConferenceView,
    DeliveryView,
    EndpointView,
    PolicyView,
    RecordingView,
    TrunkView,
)
from tapeline.domain.delivery import Attempt
from tapeline.domain.id import EpochMs
from tapeline.domain.keeping import Keeping
from tapeline.domain.recording import HealthNote
from tapeline.domain.storage import Bucket
from tapeline.domain.transcript import Transcript
from tapeline.domain.trunk import Registration, TargetState, Trunk
from tapeline.domain.work import Work

Record = dict[str, Any]


@singledispatch
def record_of(thing: object) -> Record:
    """The fields that scripts rely on, by the names the APIs use."""
    raise TypeError(f"nothing to show of {type(thing).__name__}")


@record_of.register
def _(account: Account) -> Record:
    return {
        "auth_id": account.id,
        "name": account.name,
        "public_key": account.public_key,
        "link_policy": account.settings.link_policy.value,
        "link_life_s": account.settings.link_life_s,
        "keep_announcing": account.settings.keep_announcing,
        "keep_days": account.settings.keep_days,
        "transcription_rate": account.settings.transcription_rate,
        "webhook_url": account.settings.webhook_url,
        "webhook_failover_url": account.settings.webhook_failover_url,
        **asdict(account.settings.recording),
        "settings": {
            f"{dialect}.{key}": value
            for dialect, chosen in account.settings.dialect.items()
            for key, value in chosen.items()
        },
        "created_at": _when(account.created_at_ms),
    }


@record_of.register
def _(created: AccountCreated) -> Record:
    return {
        "auth_id": created.account.id,
        "auth_token": created.auth_token,
        "api_key": created.api_key,
        "public_key": created.account.public_key,
        "name": created.account.name,
    }


@record_of.register
def _(application: Application) -> Record:
    return {
        "app_id": application.id,
        "account": application.account_id,
        "dialect": application.dialect,
        "name": application.name,
        "answer_url": application.answer_url,
        "answer_method": application.answer_method if application.answer_url else None,
        "answer_document": application.answer_document,
    }


@record_of.register
def _(number: Number) -> Record:
    return {
        "number": number.pattern,
        "app_id": number.application_id,
        "account": number.account_id,
    }


@record_of.register
def _(view: EndpointView) -> Record:
    return {
        "username": view.username,
        "endpoint_id": view.id,
        "account": view.account_id,
        "app_id": view.application_id,
        "caller": view.caller or None,
        "registered": [
            f"{each.contact} by {each.route} until {_when(each.expires_at_ms)}"
            for each in view.registered
        ],
        "created_at": _when(view.created_at_ms),
    }


@record_of.register
def _(view: TrunkView) -> Record:
    trunk, state = view.trunk, view.state
    return {
        "name": trunk.name,
        "trunk_id": trunk.id,
        "account": trunk.account_id,
        "registration": _registration(trunk, state.registration) if state else None,
        "targets": [
            _target(each.uri, each.priority, each.weight, state.targets.get(each.uri))
            if state
            else _target(each.uri, each.priority, each.weight, None)
            for each in trunk.targets
        ],
        "calls": state.channels if state else None,
        "channels": trunk.channel_limit or None,
        "priority": trunk.priority,
        "sources": list(trunk.sources),
        "username": trunk.username or None,
        "has_password": view.has_password,
        "digest": trunk.proves_itself,
        "app_id": trunk.application_id,
        "watch_s": trunk.watch_every_s,
        "codecs": list(trunk.codecs),
        "srtp": trunk.srtp.value,
        "numbers": asdict(trunk.numbers),
        "caller": asdict(trunk.caller),
        "created_at": _when(trunk.created_at_ms),
    }


def _registration(trunk: Trunk, registration: Registration) -> str:
    if not trunk.registers:
        return "none"
    if registration.is_registered:
        return f"registered for {registration.expires_s} s"
    if registration.at_ms is None:
        return "not answered yet"
    said = f"{registration.sip_status} {registration.detail}".removeprefix("0 ").strip()
    return f"refused: {said}" if registration.sip_status else f"no answer: {said}"


def _target(uri: str, priority: int, weight: int, state: TargetState | None) -> str:
    words = {True: "up", False: "down", None: "not asked yet"}
    fares = f", {words[state.is_up]}" if state else ""
    status = f" ({state.sip_status})" if state and state.sip_status else ""
    return f"{uri},{priority},{weight}{fares}{status}"


@record_of.register
def _(view: PolicyView) -> Record:
    policy, options = view.policy, view.policy.options
    return {
        "subject": policy.subject.value,
        "name": view.name,
        "account": policy.account_id,
        "from": policy.begins.value,
        "format": options.format.value,
        "layout": options.layout.value,
        "limit_s": options.limit_ms // 1_000 or None,
        "beep": options.beep,
        "trim": options.trim_silence,
        "pause_as": options.pause_as.value if options.pause_as else None,
        "policy_id": policy.id,
    }


@record_of.register
def _(call: Call) -> Record:
    return {
        "call_id": call.id,
        "account": call.account_id,
        "direction": call.direction.value,
        "from": call.caller,
        "to": call.called,
        "state": call.state.value,
        "created_at": _when(call.created_at_ms),
        "answered_at": _when(call.answered_at_ms),
        "ended_at": _when(call.ended_at_ms),
        "cause": call.end_cause.value if call.end_cause else None,
        "detail": call.end_detail,
    }


@record_of.register
def _(view: ConferenceView) -> Record:
    conference = view.conference
    return {
        "conference_id": conference.id,
        "account": conference.account_id,
        "name": conference.name,
        "state": conference.state.value,
        "participants": len(view.participants),
        "created_at": _when(conference.created_at_ms),
        "ended_at": _when(conference.ended_at_ms),
        "end_reason": conference.end_reason.value if conference.end_reason else None,
    }


@record_of.register
def _(view: RecordingView) -> Record:
    recording = view.recording
    return {
        "recording_id": recording.id,
        "account": recording.account_id,
        "dialect": recording.starter.dialect,
        "conference": recording.conference_name,
        "call_id": recording.call_id,
        "format": recording.format.value,
        "state": recording.state.value,
        "health": recording.health_words,
        "reason": recording.reason,
        "started_at": _when(recording.started_at_ms),
        "duration_ms": recording.duration_ms,
        "byte_count": recording.byte_count,
        "url": view.link,
        "rate_hz": recording.rate_hz,
        "notes": [_note(note) for note in recording.health],
        "stored": None if view.stored is None else view.stored.words,
        "stored_reason": None if view.stored is None else view.stored.reason,
        **_work(view.work),
        "tracks": [
            {
                "number": each.track.number,
                "side": each.side and each.side.value,
                "call_id": each.track.call_id,
                "member_id": each.track.member_id,
                "offset_ms": each.track.offset_ms,
                "sample_count": each.track.sample_count,
                "byte_count": each.track.byte_count,
                "sha256": each.track.sha256,
                "url": each.link,
            }
            for each in view.tracks
        ],
    }


@record_of.register
def _(work: Work) -> Record:
    return {"recording_id": work.recording_id, **_work(work)}


def _work(work: Work | None) -> Record:
    return {
        "work": None if work is None else work.state.value,
        "work_step": None if work is None else work.step.value,
        "work_tries": None if work is None else work.tries,
        "work_reason": None if work is None else work.reason,
    }


def _note(note: HealthNote) -> str:
    span_ms = note.missing_ms or note.odd_ms
    return f"{note.reason} {span_ms} ms" if span_ms else note.reason


@record_of.register
def _(kept: Keeping) -> Record:
    return {
        "recording_id": kept.recording_id,
        "held_because": None if kept.hold is None else kept.hold.because,
        "held_by": None if kept.hold is None else kept.hold.by,
        "held_since": None if kept.hold is None else _when(kept.hold.at_ms),
        "delete_at": _when(kept.delete_at_ms),
    }


@record_of.register
def _(transcript: Transcript) -> Record:
    return {
        "transcript_id": transcript.id,
        "recording_id": transcript.recording_id,
        "account": transcript.account_id,
        "state": transcript.state.value,
        "reason": transcript.limit.value if transcript.limit else transcript.reason,
        "duration_ms": transcript.duration_ms,
        "charge": transcript.charge,
        "created_at": _when(transcript.created_at_ms),
        "finished_at": _when(transcript.finished_at_ms),
        "text": transcript.text,
    }


def _attempt(attempt: Attempt) -> str:
    came = "delivered" if attempt.failure is None else attempt.reason or attempt.failure.value
    status = "-" if attempt.status is None else attempt.status
    return f"{attempt.number}  {_when(attempt.at_ms)}  {status}  {attempt.duration_ms} ms  {came}"


@record_of.register
def _(view: DeliveryView) -> Record:
    delivery = view.delivery
    last = view.attempts[-1] if view.attempts else None
    return {
        "delivery_id": delivery.id,
        "event": delivery.event_name,
        "url": delivery.message.url,
        "state": delivery.state.value,
        "attempts": delivery.attempts,
        "last_status": last.status if last else None,
        "last_reason": last.reason if last else None,
        "next_attempt_at": _when(delivery.next_attempt_at_ms),
        "event_id": delivery.event_id,
        "each": [_attempt(each) for each in view.attempts],
    }


@record_of.register
def _(bucket: Bucket) -> Record:
    return {
        "bucket": bucket.address,
        "account": bucket.account_id,
        "options": dict(bucket.options),
        "secrets": sorted(bucket.secrets),
        "in_use": bucket.retired_at_ms is None,
        "created_at": _when(bucket.created_at_ms),
    }


@record_of.register
def _(view: BucketView) -> Record:
    return {**record_of(view.bucket), "fault": view.fault}


def show_one(thing: object, *, as_json: bool) -> None:
    record = record_of(thing)
    if as_json:
        typer.echo(json.dumps(record, ensure_ascii=False))
        return
    width = max(len(key) for key in record)
    for key, value in record.items():
        for line in value if isinstance(value, list) else [value]:
            if line is not None:
                typer.echo(f"{key:<{width}}  {line}")


def show_many(things: Sequence[object], *, as_json: bool, columns: Sequence[str]) -> None:
    """`columns` is what the table shows; JSON has every field."""
    records = [record_of(thing) for thing in things]
    if as_json:
        typer.echo(json.dumps(records, ensure_ascii=False))
        return
    if not records:
        typer.echo("none")
        return
    rows = [list(columns), *([_cell(record[column]) for column in columns] for record in records)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(columns))]
    for row in rows:
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        typer.echo(line.rstrip())


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(str, value)) or "-"
    return "-" if value is None else str(value)


def _when(at_ms: EpochMs | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds")
