"""Each check of the doctor, in order and broken."""

import socket
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from tests.contract import stores

from tapeline.cli.checks import (
    Grade,
    check_certificate,
    check_clock,
    check_database,
    check_disk,
    check_orphans,
    check_ports,
    check_realtime,
    check_secrets,
)
from tapeline.cli.doctor import look
from tapeline.config import Config
from tapeline.domain.recording import RecordingState
from tapeline.state import SqlStore

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.fixture
async def folder(tmp_path: Path) -> Path:
    """A node's, with one whole recording."""
    store: SqlStore = await stores.open_sqlite(tmp_path)
    row = stores.recording("rec-1", state=RecordingState.COMPLETED)
    await store.write(stores.add_basics)
    await store.write(lambda tx: tx.recordings.add(row))
    await store.close()
    file = tmp_path / "recordings" / row.storage_key
    file.parent.mkdir(parents=True)
    file.write_bytes(b"sound")
    (tmp_path / "spool").mkdir()
    return tmp_path


def audio(folder: Path) -> Path:
    (file,) = (folder / "recordings").rglob("rec-1.wav")
    return file


def execute(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "tapeline.db")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def orphans(folder: Path) -> dict[str, Grade]:
    return {check.name: check.grade for check in check_orphans(folder)}


async def test_all_is_well_in_a_healthy_folder(folder: Path) -> None:
    assert check_database(folder).grade is Grade.OK
    assert orphans(folder) == {"rows without files": Grade.OK, "files without rows": Grade.OK}
    assert check_clock(folder, NOW, clock_state=lambda: 0).grade is Grade.OK
    assert check_secrets(folder).grade is Grade.OK


async def test_a_damaged_database_is_wrong(folder: Path) -> None:
    file = folder / "tapeline.db"
    content = bytearray(file.read_bytes())
    content[8192:40_000] = b"\xff" * (40_000 - 8192)
    file.write_bytes(bytes(content))

    assert check_database(folder).grade is Grade.WRONG
    file.write_bytes(b"no database at all, but a text")
    assert check_database(folder).grade is Grade.WRONG
    seen = look(Config(data_dir=folder), [], NOW, is_running=True)
    grades = {check.name: check.grade for check in seen}
    assert grades["database"] is Grade.WRONG


async def test_a_row_that_points_nowhere_is_wrong(folder: Path) -> None:
    execute(folder, "PRAGMA foreign_keys = OFF", "DELETE FROM accounts")

    assert "points at a row of accounts" in check_database(folder).text


async def test_a_row_without_its_file_is_wrong_and_named(folder: Path) -> None:
    audio(folder).unlink()

    (check,) = [c for c in check_orphans(folder) if c.grade is not Grade.OK]
    assert (check.name, check.grade) == ("rows without files", Grade.WRONG)
    assert "rec-1.wav" in check.text


async def test_files_and_spool_folders_without_rows_are_named(folder: Path) -> None:
    audio(folder).with_name("stranger.mp3").write_bytes(b"x")
    (folder / "spool" / "nobody").mkdir()

    (check,) = [c for c in check_orphans(folder) if c.grade is not Grade.OK]
    assert check.name == "files without rows"
    assert "stranger.mp3" in check.text
    assert "nobody" in check.text


async def test_audio_of_a_deleted_recording_is_an_orphan_and_its_tombstone_is_none(
    folder: Path,
) -> None:
    audio(folder).with_name("rec-1.tombstone.json").write_bytes(b"{}")
    assert set(orphans(folder).values()) == {Grade.OK}

    execute(folder, "UPDATE recordings SET state = 'deleted'")

    (check,) = [c for c in check_orphans(folder) if c.grade is not Grade.OK]
    assert "rec-1.wav" in check.text
    assert "tombstone" not in check.text


async def test_a_clock_behind_the_newest_event_is_wrong(folder: Path) -> None:
    ahead_s = int(NOW.timestamp()) + 3_600
    execute(folder, f"UPDATE events SET at_ms = {ahead_s * 1000}")  # noqa: S608

    assert check_clock(folder, NOW, clock_state=lambda: 0).grade is Grade.WRONG
    later = NOW + timedelta(hours=2)
    assert check_clock(folder, later, clock_state=lambda: 0).grade is Grade.OK
    assert check_clock(folder, later, clock_state=lambda: 5).grade is Grade.DOUBTFUL


@pytest.mark.parametrize("key", ["http_bind", "sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss"])
def test_a_taken_port_is_wrong_unless_the_node_has_it(key: str) -> None:
    kind = socket.SOCK_DGRAM if key == "sip_udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        free = Config(http_bind="127.0.0.1:0", sip_udp=("127.0.0.1:0",))
        value: Any = address if key == "http_bind" else (address,)
        config = replace(free, **{key: value})

        check = check_ports(config, is_running=False)

        assert (check.grade, address in check.text) == (Grade.WRONG, True)
        assert check_ports(config, is_running=True).grade is Grade.OK
        assert check_ports(free, is_running=False).grade is Grade.OK


def test_realtime_that_is_not_permitted_is_doubtful() -> None:
    def refuse() -> None:
        raise PermissionError(1, "Operation not permitted")

    assert check_realtime(Config(), take=refuse).grade is Grade.DOUBTFUL
    assert check_realtime(Config(), take=lambda: None).grade is Grade.OK
    assert check_realtime(Config(realtime=False), take=refuse).grade is Grade.OK


async def test_the_disk_s_minutes_are_those_of_what_records_now(folder: Path) -> None:
    config = Config(data_dir=folder, disk_reserve_mb=1)
    space = 1_000_000 + 60 * 960_000

    assert "60 minutes of 1 " in check_disk(config, free_bytes=lambda _: space).text
    assert check_disk(config, free_bytes=lambda _: space).grade is Grade.OK
    assert check_disk(config, free_bytes=lambda _: space - 1).grade is Grade.DOUBTFUL
    assert check_disk(config, free_bytes=lambda _: 1_000_000).grade is Grade.WRONG
    execute(folder, "UPDATE recordings SET state = 'recording'")
    assert check_disk(config, free_bytes=lambda _: space).grade is Grade.OK


def certificate(tmp_path: Path, begins: datetime, ends: datetime) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "node.pem"
    file.write_bytes(made.public_bytes(Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("begins", "ends", "grade"),
    [(-30, 90, Grade.OK), (-30, 13, Grade.DOUBTFUL), (-30, -1, Grade.WRONG), (1, 90, Grade.WRONG)],
)
def test_a_certificate_s_dates(tmp_path: Path, begins: int, ends: int, grade: Grade) -> None:
    file = certificate(tmp_path, NOW + timedelta(days=begins), NOW + timedelta(days=ends))

    assert check_certificate(file, NOW).grade is grade


async def test_the_configured_certificate_is_looked_at(folder: Path) -> None:
    file = certificate(folder, NOW - timedelta(days=9), NOW - timedelta(days=1))
    config = Config(data_dir=folder, sip_tls_certificate=str(file))

    last = list(look(config, [], NOW, is_running=True))[-1]

    assert (last.name, last.grade) == (f"certificate {file}", Grade.WRONG)


def test_a_certificate_that_cannot_be_read_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("nothing")

    assert check_certificate(tmp_path / "x.pem", NOW).grade is Grade.WRONG
    assert check_certificate(tmp_path / "gone.pem", NOW).grade is Grade.WRONG


async def test_keys_that_others_can_read_are_wrong(folder: Path) -> None:
    (folder / "master.key").write_bytes(b"k")
    (folder / "master.key").chmod(0o640)

    check = check_secrets(folder)

    assert (check.grade, "master.key" in check.text) == (Grade.WRONG, True)
