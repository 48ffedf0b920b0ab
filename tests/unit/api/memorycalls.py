"""Calls, members and applications as plain dictionaries: a part of `things.MemoryControl`."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from tapeline.domain import command as commands
from tapeline.domain.application import Application
from tapeline.domain.call import Call, CallState
from tapeline.domain.conference import Participant
from tapeline.domain.error import (
    ApplicationNotFound,
    CallHasEnded,
    CallNotFound,
    NotRecording,
    ParticipantNotFound,
    RecordingNotFound,
    TranscriptNotFound,
)
from tapeline.domain.id import AccountId, ApplicationId, CallId, EpochMs, RecordingId
from tapeline.domain.recording import Recording, RecordingState, TargetKind

Answers = Mapping[type, Callable[[Any], Any]]
Made = Callable[..., Any]


class Rooms(Protocol):
    """What this needs of the rest."""

    rooms: dict[tuple[AccountId, str], commands.ConferenceView]
    recordings: dict[RecordingId, Recording]

    def view_of(self, recording: Recording) -> commands.RecordingView: ...
    def room(self, account_id: AccountId, name: str) -> commands.ConferenceView: ...


class MemoryCalls:
    def __init__(self, rooms: Rooms, *, new_call: Made, new_recording: Made) -> None:
        self.calls: dict[CallId, Call] = {}
        self.applications: dict[ApplicationId, Application] = {}
        self._rooms = rooms
        self._new_call = new_call
        self._new_recording = new_recording
        self.answers: Answers = {
            commands.PageCalls: self._page,
            commands.GetCall: self._call,
            commands.CreateCall: self._create,
            commands.TransferCall: self._live,
            commands.HangUpCall: self._hang_up,
            commands.StartCallRecording: self._start,
            commands.StopCallRecording: self._stop,
            commands.SetParticipants: self._members,
            commands.RemoveParticipants: self._members,
            commands.PlayToConference: self._members,
            commands.StopPlayingToConference: self._members,
            commands.PlayToCall: self._hear,
            commands.StopPlayingToCall: self._hear,
            commands.SendDigits: self._hear,
            commands.EndConference: self._end,
            commands.EndConferences: self._end_all,
            commands.TranscribeRecording: self._transcribe,
            commands.ViewTranscript: self._no_transcript,
            commands.DeleteTranscript: self._no_transcript,
            commands.CreateApplication: self._create_application,
            commands.ListApplications: self._applications,
            commands.GetApplication: self._application,
            commands.UpdateApplication: self._update,
            commands.DeleteApplication: self._delete,
        }

    def add(self, call_id: str, **changes: Any) -> Call:
        made: Call = self._new_call(call_id, **changes)
        self.calls[made.id] = made
        return made

    def _call(self, command: Any) -> Call:
        found = self.calls.get(command.call_id)
        if found is None or found.account_id != command.account_id:
            raise CallNotFound(command.call_id)
        return found

    def _live(self, command: Any) -> Call:
        found = self._call(command)
        if found.state is CallState.ENDED:
            raise CallHasEnded(found.id)
        return found

    def _hear(self, command: Any) -> commands.Done:
        self._live(command)
        return commands.Done()

    def _page(self, command: commands.PageCalls) -> commands.CallPage:
        wanted = command.filter
        owned = [
            each
            for each in self.calls.values()
            if each.account_id == command.account_id
            and wanted.is_live in {None, each.state is not CallState.ENDED}
            and wanted.state in {None, each.state}
        ]
        part = owned[command.offset : command.offset + command.limit]
        return commands.CallPage(
            calls=tuple(part), total=len(owned), limit=command.limit, offset=command.offset
        )

    def _create(self, command: commands.CreateCall) -> Call:
        return self.add(
            f"call-{len(self.calls) + 1}",
            account_id=command.account_id,
            called=command.target,
            caller=command.caller,
            state=CallState.DIALING,
        )

    def _hang_up(self, command: commands.HangUpCall) -> commands.Done:
        self.calls[command.call_id] = replace(self._live(command), state=CallState.ENDED)
        return commands.Done()

    def _running(self, command: Any, dialect: str) -> list[Recording]:
        return [
            each
            for each in self._rooms.recordings.values()
            if each.is_open
            and (each.call_id, each.starter.dialect) == (command.call_id, dialect)
            and each.target is TargetKind.CALL
        ]

    def _start(self, command: commands.StartCallRecording) -> commands.RecordingView:
        self._live(command)
        started: Recording = self._new_recording(
            id=RecordingId(f"rec-{len(self._rooms.recordings) + 1}"),
            account_id=command.account_id,
            target=TargetKind.CALL,
            call_id=command.call_id,
            conference_id=None,
            conference_name=None,
            starter=command.starter,
            options=command.options,
            state=RecordingState.RECORDING,
        )
        self._rooms.recordings[started.id] = started
        return self._rooms.view_of(started)

    def _stop(self, command: commands.StopCallRecording) -> tuple[RecordingId, ...]:
        self._live(command)
        running = self._running(command, command.dialect)
        if command.recording_id is not None:
            running = [each for each in running if each.id == command.recording_id]
            if not running:
                raise RecordingNotFound(command.recording_id)
        if not running and not command.is_idempotent:
            raise NotRecording("call")
        for each in running:
            self._rooms.recordings[each.id] = replace(each, state=RecordingState.COMPLETED)
        return tuple(each.id for each in running)

    def _members(
        self, command: commands.SetParticipants | commands.RemoveParticipants
    ) -> tuple[Participant, ...]:
        view = self._rooms.room(command.conference.account_id, command.conference.name)
        wanted = command.members.member_ids
        found = [
            each.participant
            for each in view.participants
            if not wanted or each.participant.member_id in wanted
        ]
        if not found:
            raise ParticipantNotFound(",".join(wanted))
        return tuple(found)

    def _end(self, command: commands.EndConference) -> commands.Done:
        owner, name = command.conference.account_id, command.conference.name
        self._rooms.room(owner, name)
        del self._rooms.rooms[owner, name]
        return commands.Done()

    def _end_all(self, command: commands.EndConferences) -> commands.Done:
        for key in [each for each in self._rooms.rooms if each[0] == command.account_id]:
            del self._rooms.rooms[key]
        return commands.Done()

    def _transcribe(self, command: commands.TranscribeRecording) -> None:
        if command.recording_id not in self._rooms.recordings:
            raise RecordingNotFound(command.recording_id)

    def _no_transcript(self, command: Any) -> None:
        raise TranscriptNotFound(command.name)

    def _create_application(self, command: commands.CreateApplication) -> Application:
        made = Application(
            id=ApplicationId(str(len(self.applications) + 1)),
            account_id=command.account_id,
            dialect=command.dialect,
            name=command.name,
            answer_url=command.answer_url,
            answer_method=command.answer_method,
            fallback_url=command.fallback_url,
            hangup_url=command.hangup_url,
            created_at_ms=EpochMs(1),
        )
        self.applications[made.id] = made
        return made

    def _applications(self, command: commands.ListApplications) -> tuple[Application, ...]:
        return tuple(
            each
            for each in self.applications.values()
            if (each.account_id, each.dialect) == (command.account_id, command.dialect)
        )

    def _application(self, command: Any) -> Application:
        found = self.applications.get(command.application_id)
        if found is None or (found.account_id, found.dialect) != (
            command.account_id,
            command.dialect,
        ):
            raise ApplicationNotFound(command.application_id)
        return found

    def _update(self, command: commands.UpdateApplication) -> Application:
        found = self._application(command)
        changed = replace(
            found,
            name=command.name or found.name,
            answer_url=command.answer_url or found.answer_url,
            answer_method=command.answer_method or found.answer_method,
        )
        self.applications[found.id] = changed
        return changed

    def _delete(self, command: commands.DeleteApplication) -> Application:
        return self.applications.pop(self._application(command).id)
