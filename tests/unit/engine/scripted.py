"""A native core without threads: it notes what it is asked and says what a test tells it."""

import os
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Literal

from tapeline import _core
from tapeline.engine.native import Levels


class ScriptedCore:
    """Implements `engine.native.NativeCore`. With `answers` every command is done at once.

    Handles it makes are the command's id and 1000.
    """

    def __init__(self, *, answers: bool = True) -> None:
        self.answers = answers
        self.asked: list[tuple[str, tuple[object, ...]]] = []
        self.said_at_stop: list[tuple[str, Mapping[str, object]]] = []
        self.panics = 0
        self.is_busy = False
        self._count = 0
        self._waiting: deque[tuple[str, Mapping[str, object]]] = deque()
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def say(self, name: str, **fields: object) -> None:
        self._waiting.append((name, fields))
        os.eventfd_write(self._fd, 1)

    def close(self) -> None:
        os.close(self._fd)

    def sip_addresses(self) -> list[str]:
        return ["127.0.0.1:5060"]

    def sip_stream_addresses(self) -> list[tuple[str, str]]:
        return [("tls", "127.0.0.1:5061")]

    def reload_tls(self) -> None:
        self.asked.append(("reload_tls", ()))

    def fileno(self) -> int:
        return self._fd

    def drain(self, limit: int = 4096) -> Sequence[tuple[str, Mapping[str, object]]]:
        events = [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return events
        if self._waiting:
            os.eventfd_write(self._fd, 1)
        return events

    def ring(self, leg: int) -> int:
        return self._ask("ring", leg)

    def answer(self, leg: int) -> int:
        return self._ask("answer", leg)

    def reject(self, leg: int, status: int, reason: str) -> int:
        return self._ask("reject", leg, status, reason)

    def progress(self, leg: int) -> int:
        return self._ask("progress", leg)

    def hang_up(self, leg: int, *, cause: int = 0, reason: str = "") -> int:
        return self._ask("hang_up", leg, *((cause, reason) if cause else ()))

    def accept_transfer(self, leg: int) -> int:
        return self._ask("accept_transfer", leg)

    def refuse_transfer(self, leg: int, status: int) -> int:
        return self._ask("refuse_transfer", leg, status)

    def report_transfer(self, leg: int, status: int) -> int:
        return self._ask("report_transfer", leg, status)

    def send_digits(self, leg: int, digits: str, *, tone_ms: int, gap_ms: int) -> int:
        return self._ask("send_digits", leg, digits, tone_ms, gap_ms)

    def create_room(self, rate_hz: int) -> tuple[int, int]:
        number = self._ask("create_room", rate_hz)
        return number, number + 1000

    def close_room(self, room: int) -> int:
        return self._ask("close_room", room)

    def join(
        self,
        leg: int,
        room: int,
        *,
        muted: bool,
        deaf: bool,
        on_hold: bool,
        gain_db: float,
        heard_by: Literal["everyone"] | Sequence[int],
        answers: bool,
    ) -> int:
        return self._ask("join", leg, room, muted, deaf, on_hold, gain_db, heard_by, answers)

    def leave(self, leg: int) -> int:
        return self._ask("leave", leg)

    def set_participant(
        self,
        leg: int,
        *,
        muted: bool | None,
        deaf: bool | None,
        on_hold: bool | None,
        gain_db: float | None,
        heard_by: Literal["everyone"] | Sequence[int] | None,
    ) -> int:
        return self._ask("set_participant", leg, muted, deaf, on_hold, gain_db, heard_by)

    def start_recording(
        self,
        *,
        folder: str,
        format: str,
        room: int | None,
        leg: int | None,
        layout: str,
        left_leg: int | None,
        rate_hz: int,
        limit_ms: int,
        silence_limit_ms: int,
        silence_waits_for_speech: bool,
        pause_as: str,
        pause_limit_ms: int,
        beep: bool,
        beep_every_ms: int,
        beep_level_db: float,
        beep_in_file: bool,
        trim_silence: bool,
        tracks: bool,
        label: str,
    ) -> tuple[int, int]:
        where = (folder, format, room, leg, layout, left_leg, rate_hz)
        ends = (limit_ms, silence_limit_ms, silence_waits_for_speech)
        beeps = (beep, beep_every_ms, beep_level_db, beep_in_file)
        what = (*where, *ends, pause_as, pause_limit_ms, *beeps, trim_silence, tracks, label)
        number = self._ask("start_recording", *what)
        return number, number + 1000

    def stop_recording(self, recorder: int) -> int:
        return self._ask("stop_recording", recorder)

    def pause_recording(self, recorder: int) -> int:
        return self._ask("pause_recording", recorder)

    def resume_recording(self, recorder: int) -> int:
        return self._ask("resume_recording", recorder)

    def play(
        self,
        *,
        path: str | None,
        tones: Sequence[tuple[int, int, int, int, float]],
        leg: int | None,
        room: int | None,
        loops: int,
        instead: bool,
        level_db: float,
    ) -> tuple[int, int]:
        target = leg if room is None else room
        number = self._ask("play", path, list(tones), target, loops, instead, level_db)
        return number, number + 1000

    def stop_play(self, playback: int) -> int:
        return self._ask("stop_play", playback)

    def stop_plays(self, *, leg: int | None, room: int | None) -> int:
        return self._ask("stop_plays", leg, room)

    def set_access(
        self,
        *,
        networks: Sequence[str],
        rate_per_source: int,
        rate_exempt: Sequence[str],
        max_unacknowledged: int,
    ) -> int:
        return self._ask(
            "set_access", tuple(networks), rate_per_source, tuple(rate_exempt), max_unacknowledged
        )

    def set_credentials(self, rows: Sequence[tuple[str, str, str, str]]) -> int:
        return self._ask("set_credentials", tuple(rows))

    def set_sources(self, rows: Sequence[tuple[str, Sequence[str]]]) -> int:
        return self._ask("set_sources", tuple(rows))

    def set_locations(self, rows: Sequence[tuple[str, Sequence[tuple[str, str, int]]]]) -> int:
        return self._ask("set_locations", tuple(rows))

    def register(
        self,
        trunk: str,
        *,
        registrar: str,
        aor: str,
        username: str,
        password: str,
        expires_s: int,
    ) -> int:
        return self._ask("register", trunk, registrar, aor, username, password, expires_s)

    def unregister(self, trunk: str) -> int:
        return self._ask("unregister", trunk)

    def watch(self, trunk: str, uris: Sequence[str], *, every_s: int) -> int:
        return self._ask("watch", trunk, tuple(uris), every_s)

    def set_draining(self, draining: bool) -> int:  # noqa: FBT001
        return self._ask("set_draining", draining)

    def sip_call_id(self, leg: int) -> str | None:
        return f"call-of-{leg}" if leg == 7 else None

    def sip_trace(self, sip_call_id: str) -> Sequence[tuple[int, bool, str, str, str]]:
        known = sip_call_id == "call-of-7"
        return [(5, True, "udp", "192.0.2.1:5060", "BYE")] if known else []

    def levels(self, leg: int) -> Levels | None:
        if leg != 1:
            return None
        return {
            "packets_received": 50,
            "packets_sent": 51,
            "packets_lost": 1,
            "packets_late": 0,
            "frames_concealed": 1,
            "remote_lost": 2,
            "jitter_ms": 3,
            "round_trip_ms": 4.5,
            "mos": None,
            "buffer_delay_ms": 40,
            "level_rx_db": -20.5,
            "level_tx_db": -90.0,
        }

    def stats(self) -> dict[str, int]:
        return {"legs": 1, "caught_panics": self.panics}

    def stop(self) -> None:
        for name, fields in self.said_at_stop:
            self.say(name, **fields)

    def _ask(self, name: str, *arguments: object) -> int:
        if self.is_busy:
            raise _core.CoreError("the media thread takes no commands")
        self.asked.append((name, arguments))
        self._count += 1
        if self.answers:
            self.say("command_done", command=self._count)
        return self._count
