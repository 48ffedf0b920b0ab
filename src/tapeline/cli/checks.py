"""What `tapeline doctor` looks at. Reads only: it runs beside a node that runs."""

import ctypes
import os
import socket
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from cryptography import x509

from tapeline.config import Config, split_address

WAV_BYTES_PER_MINUTE = 8000 * 2 * 60
"""One mono recording at 8 kHz: what most are, or more than they are."""
FEW_MINUTES = 60
SOON = timedelta(days=14)
LATER_MS = 60_000
NAMED = 5
"""Things named in one line; the others are counted."""
_UNSYNCHRONISED = 5  # adjtimex(2): TIME_ERROR


class Grade(StrEnum):
    OK = "ok"
    DOUBTFUL = "doubtful"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    name: str
    grade: Grade
    text: str


def _ok(name: str, text: str) -> Check:
    return Check(name=name, grade=Grade.OK, text=text)


def _doubtful(name: str, text: str) -> Check:
    return Check(name=name, grade=Grade.DOUBTFUL, text=text)


def _wrong(name: str, text: str) -> Check:
    return Check(name=name, grade=Grade.WRONG, text=text)


def open_database(data_dir: Path) -> sqlite3.Connection | None:
    """To be read only; None when there is none yet. Raises sqlite3.Error."""
    file = data_dir / "tapeline.db"
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True) if file.is_file() else None


def check_database(data_dir: Path) -> Check:
    """Every page and index of it, and that no row points at one that is not there."""
    try:
        connection = open_database(data_dir)
        if connection is None:
            return _doubtful("database", f"there is none in {data_dir} yet")
        with closing(connection):
            (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            loose = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        return _wrong("database", f"it cannot be read: {error}; restore a backup")
    if said != "ok":
        return _wrong("database", f"it is damaged: {said}; restore a backup")
    if loose is not None:
        return _wrong("database", f"a row of {loose[0]} points at a row of {loose[2]} that is gone")
    return _ok("database", "whole")


def check_orphans(data_dir: Path) -> Iterator[Check]:
    """Files without rows and rows without files; nothing of it is touched. Raises sqlite3.Error."""
    connection = open_database(data_dir)
    if connection is None:
        return
    with closing(connection):
        states = dict(connection.execute("SELECT id, state FROM recordings"))
        expected = list(
            connection.execute(
                "SELECT id, storage_key FROM recordings WHERE state = 'completed' "
                "UNION ALL SELECT t.recording_id, t.storage_key FROM tracks t "
                "JOIN recordings r ON r.id = t.recording_id WHERE r.state = 'completed'"
            )
        )
        elsewhere = {row[0] for row in connection.execute(
            "SELECT recording_id FROM stored WHERE place = 'remote' "
            "UNION SELECT recording_id FROM keeping WHERE deletion_at_ms IS NOT NULL"
        )}  # fmt: skip
    root = data_dir / "recordings"
    missing = [
        key
        for recording_id, key in expected
        if recording_id not in elsewhere and not (root / key).is_file()
    ]
    strangers = [str(path) for path in _strangers(data_dir, states)]
    yield (
        _wrong("rows without files", _named(missing))
        if missing
        else _ok("rows without files", "none")
    )
    yield (
        _doubtful("files without rows", _named(strangers))
        if strangers
        else _ok("files without rows", "none")
    )


def _strangers(data_dir: Path, states: dict[str, str]) -> Iterator[Path]:
    left_of_deleted = (".manifest.json", ".tombstone.json")
    for path in sorted((data_dir / "recordings").rglob("*")):
        inner = path.relative_to(data_dir / "recordings")
        if not path.is_file() or any(part.startswith(".") for part in inner.parts):
            continue
        state = states.get(path.name.partition(".")[0])
        if state is None or (state == "deleted" and not path.name.endswith(left_of_deleted)):
            yield path
    for folder in sorted((data_dir / "spool").iterdir()) if (data_dir / "spool").is_dir() else ():
        # What failed stays there for people; what runs is there.
        if folder.is_dir() and states.get(folder.name) in {None, "deleted"}:
            yield folder


def _named(found: list[str]) -> str:
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return ", ".join(found[:NAMED]) + more


def check_ports(config: Config, *, is_running: bool) -> Check:
    """That the node could listen where it is told to."""
    if is_running:
        return _ok("ports", "a node runs and has them")
    wanted = [(socket.SOCK_STREAM, config.http_address, "http_bind")]
    for key in ("sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss"):
        kind = socket.SOCK_DGRAM if key == "sip_udp" else socket.SOCK_STREAM
        wanted += [(kind, split_address(text, key=key), key) for text in getattr(config, key)]
    taken = []
    for kind, address, key in wanted:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        with socket.socket(family, kind) as tried:
            if kind == socket.SOCK_STREAM:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                tried.bind(address)
            except OSError as error:
                taken.append(f"{key} {address[0]}:{address[1]}: {error.strerror}")
    return _wrong("ports", "; ".join(taken)) if taken else _ok("ports", "free")


def adjtimex_state() -> int:
    """What the kernel says of its clock (adjtimex(2)); -1 when it does not say."""
    buffer = ctypes.create_string_buffer(512)
    return int(ctypes.CDLL(None).adjtimex(buffer))


def check_clock(
    data_dir: Path, now: datetime, *, clock_state: Callable[[], int] = adjtimex_state
) -> Check:
    """That it has not gone back behind what was stored, and that something keeps it right."""
    connection = open_database(data_dir)
    if connection is not None:
        with closing(connection):
            (newest,) = connection.execute("SELECT max(at_ms) FROM events").fetchone()
        if newest is not None and newest > now.timestamp() * 1000 + LATER_MS:
            when = datetime.fromtimestamp(newest / 1000, UTC).isoformat(timespec="seconds")
            return _wrong("clock", f"it is behind the newest event, {when}: set it right")
    if clock_state() == _UNSYNCHRONISED:
        return _doubtful("clock", "nothing keeps it synchronised: run an NTP client")
    return _ok("clock", now.isoformat(timespec="seconds"))


def take_realtime() -> None:
    """Raises PermissionError. Of this thread, and given back at once."""
    before = os.sched_getscheduler(0)
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    os.sched_setscheduler(0, before, os.sched_param(0))


def check_realtime(config: Config, *, take: Callable[[], None] = take_realtime) -> Check:
    if not config.realtime:
        return _ok("SCHED_FIFO", "not wanted (realtime = false)")
    try:
        take()
    except OSError as error:
        text = f"not permitted ({error.strerror}): give CAP_SYS_NICE, or LimitRTPRIO in the unit"
        return _doubtful("SCHED_FIFO", text)
    return _ok("SCHED_FIFO", "permitted")


def check_disk(config: Config, *, free_bytes: Callable[[Path], int]) -> Check:
    """Minutes left for what records now (at least one recording)."""
    existing = next(p for p in (config.data_dir, *config.data_dir.absolute().parents) if p.exists())
    running = 1
    connection = open_database(config.data_dir)
    if connection is not None:
        with closing(connection):
            (count,) = connection.execute(
                "SELECT count(*) FROM recordings WHERE state IN ('recording', 'paused')"
            ).fetchone()
        running = max(1, count)
    left = free_bytes(existing) - config.disk_reserve_mb * 1_000_000
    minutes = max(0, left) // (WAV_BYTES_PER_MINUTE * running)
    text = f"{minutes} minutes of {running} recordings at once are left above the reserve"
    if left <= 0:
        return _wrong("disk", f"full: nothing is recorded ({text})")
    return _doubtful("disk", text) if minutes < FEW_MINUTES else _ok("disk", text)


def check_certificate(file: Path, now: datetime) -> Check:
    """Of a PEM chain the one that ends first."""
    name = f"certificate {file}"
    try:
        chain = x509.load_pem_x509_certificates(file.read_bytes())
    except (OSError, ValueError) as error:
        return _wrong(name, f"cannot be read: {error}")
    begins = max(each.not_valid_before_utc for each in chain)
    ends = min(each.not_valid_after_utc for each in chain)
    if now > ends:
        return _wrong(name, f"ended on {ends:%Y-%m-%d}: renew it")
    if now < begins:
        return _wrong(name, f"begins only on {begins:%Y-%m-%d}")
    if ends - now < SOON:
        return _doubtful(name, f"ends on {ends:%Y-%m-%d}: renew it")
    return _ok(name, f"good until {ends:%Y-%m-%d}")


def check_secrets(data_dir: Path) -> Check:
    """That only the node's user can read its keys."""
    files = [data_dir / "master.key", data_dir / "keys" / "manifest.pem", data_dir / "tapeline.db"]
    open_ones = [
        str(file) for file in files if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if open_ones:
        return _wrong("keys", f"others can read {', '.join(open_ones)}: chmod 600")
    return _ok("keys", "read by their owner only")
