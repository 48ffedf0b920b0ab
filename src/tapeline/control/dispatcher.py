"""The subscriber of the core's signals: each becomes one use case, in order per thing."""

from collections.abc import Awaitable, Callable, Hashable, Mapping
from functools import partial
from typing import Any

from tapeline.control import bridges, endpoints, recordings
from tapeline.control.calls import arrivals, transfers
from tapeline.control.calls import signals as call_signals
from tapeline.control.conferences import signals as conference_signals
from tapeline.control.lanes import Lanes
from tapeline.control.parts import Parts
from tapeline.domain import signal
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

_THINGS = ("leg", "room", "recorder")


class Dispatcher:
    """`receive` is what the engine calls. `run` must be running for anything to happen."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.lanes = Lanes(parts.bugs)
        self._use_cases: Mapping[type, Callable[[Any], Awaitable[None]]] = {
            signal.CallArrived: partial(arrivals.arrive, parts),
            signal.CallRinging: partial(call_signals.note_ringing, parts),
            signal.CallAnswered: partial(call_signals.note_answered, parts),
            signal.Digit: partial(call_signals.note_digit, parts),
            signal.TransferAsked: partial(transfers.note_transfer_asked, parts),
            signal.CallEnded: partial(call_signals.note_ended, parts),
            signal.ParticipantJoined: partial(conference_signals.note_joined, parts),
            signal.ParticipantLeft: self._note_left,
            signal.RoomEmpty: partial(conference_signals.note_room_empty, parts),
            signal.EndpointRegistered: partial(endpoints.note_registered, parts),
            signal.RecordingArmed: partial(recordings.note_armed, parts),
            signal.RecordingResumed: partial(recordings.note_resumed, parts),
            signal.RecordingFinished: partial(recordings.note_finished, parts),
        }

    async def run(self) -> None:
        await self.lanes.run()

    def receive(self, received: signal.Signal) -> None:
        """Frequent signals that change no row are done with at once; the rest goes to its lane."""
        if self._note_figure(received):
            return
        use_case = self._use_cases[type(received)]
        self.lanes.put(self._keys(received), partial(use_case, received))

    def _note_figure(self, received: signal.Signal) -> bool:
        match received:
            case signal.RecordingProgress() | signal.Talking():
                pass
            case signal.Digit():
                return not call_signals.hear_digit(self._parts, received)
            case signal.PlayFinished():
                self._parts.live.playbacks.finish(received)
            case signal.CallUpdated(leg=leg, is_held=is_held):
                _log.debug("call_updated", leg=leg, is_held=is_held)
            case signal.MediaTrouble(leg=leg, kind=kind):
                self._parts.counts.add(f"media_trouble_{kind}")
                live_call = self._parts.live.calls.get(leg)
                _log.warning(
                    "media_trouble", kind=kind, call=live_call.call.id if live_call else None
                )
            case signal.RecorderTrouble(recorder=recorder, detail=detail):
                self._parts.counts.add("recorder_trouble")
                live = self._parts.live.recorders.get(recorder)
                _log.error("recorder_trouble", recording=live.id if live else None, detail=detail)
            case signal.TrunkRegistered() | signal.TrunkUnregistered() | signal.TrunkTarget():
                self._note_trunk(received)
            case signal.CoreTrouble(detail=detail):
                self._parts.counts.add("core_trouble")
                _log.error("core_trouble", detail=detail)
            case _:
                return False
        return True

    def _note_trunk(
        self, told: signal.TrunkRegistered | signal.TrunkUnregistered | signal.TrunkTarget
    ) -> None:
        states, now_ms = self._parts.trunks, self._parts.clock.now_ms()
        match told:
            case signal.TrunkRegistered():
                states.note_registered(told, now_ms)
                _log.info("trunk_registered", trunk=told.trunk, expires_s=told.expires_s)
            case signal.TrunkUnregistered():
                states.note_unregistered(told, now_ms)
                self._parts.counts.add("trunk_registrations_failed")
                _log.warning(
                    "trunk_unregistered",
                    trunk=told.trunk,
                    sip_status=told.sip_status,
                    detail=told.detail,
                )
            case signal.TrunkTarget():
                states.note_target(told, now_ms)
                word = "trunk_target_up" if told.is_up else "trunk_target_down"
                _log.warning(word, trunk=told.trunk, uri=told.uri, sip_status=told.sip_status)

    async def _note_left(self, left: signal.ParticipantLeft) -> None:
        await bridges.note_left(self._parts, left)
        await conference_signals.note_left(self._parts, left)

    def _keys(self, received: signal.Signal) -> list[Hashable]:
        """The things it is about; the end of a call empties a seat, so it is the room's too."""
        keys = [(name, getattr(received, name)) for name in _THINGS if hasattr(received, name)]
        if isinstance(received, signal.EndpointRegistered):
            keys.append(("endpoint", received.owner))
        if isinstance(received, signal.CallEnded):
            live_call = self._parts.live.calls.get(received.leg)
            if live_call is not None and live_call.seat is not None:
                keys.append(("room", live_call.seat.conference.room))
        return list(keys)
