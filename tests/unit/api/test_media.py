"""Recordings over HTTP: who may read, which bytes, with which headers."""

import base64
import hashlib
from dataclasses import replace

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.things import (
    ACCOUNT_ID,
    LINKS,
    NOW_MS,
    OTHER_ID,
    TOKEN,
    MemoryControl,
    account,
    make_app,
    recording,
)

from tapeline.api.app import App
from tapeline.domain.account import LinkPolicy
from tapeline.domain.id import RecordingId
from tapeline.domain.recording import RecordingFormat, RecordingOptions, RecordingState, Track

CONTENT = b"0123456789"
PATH = f"/media/Account/{ACCOUNT_ID}/Recording/rec-1.mp3"
HEADERS = {"X-Auth-ID": ACCOUNT_ID, "X-Auth-Token": TOKEN}
OTHERS = {"X-Auth-ID": OTHER_ID, "X-Auth-Token": TOKEN}
SHA = hashlib.sha256(CONTENT).hexdigest()


def media(
    policy: LinkPolicy = LinkPolicy.SIGNED,
    *,
    state: RecordingState = RecordingState.COMPLETED,
    files: dict[str, bytes | None] | None = None,
) -> App:
    control = MemoryControl(account(link_policy=policy), account(OTHER_ID, link_policy=policy))
    row = recording(state=state, byte_count=len(CONTENT), sha256=SHA)
    control.recordings[row.id] = row
    wav = replace(
        row,
        id=RecordingId("rec-2"),
        options=RecordingOptions(format=RecordingFormat.WAV),
        storage_key="k2",
    )
    control.recordings[wav.id] = wav
    return make_app(
        control, files={row.storage_key: CONTENT, "k2": CONTENT} if files is None else files
    )


def signed(path: str = PATH, *, life_s: int = 60) -> str:
    owner = account(link_life_s=life_s)
    return LINKS.for_account(f"http://node{path}", owner, NOW_MS).removeprefix("http://node")


@pytest.mark.parametrize(
    ("policy", "target", "headers", "status", "said"),
    [
        (LinkPolicy.SIGNED, signed(), {}, 200, ""),
        (LinkPolicy.SIGNED, PATH, HEADERS, 200, ""),
        (LinkPolicy.SIGNED, signed(life_s=-1), HEADERS, 200, ""),
        (LinkPolicy.SIGNED, signed(life_s=-1), {}, 403, "expired"),
        (LinkPolicy.SIGNED, signed() + "0", {}, 403, "signature is wrong"),
        (LinkPolicy.SIGNED, signed().replace("rec-1", "rec-2"), {}, 403, "signature is wrong"),
        (LinkPolicy.SIGNED, PATH, {}, 401, "signature"),
        (LinkPolicy.SIGNED, PATH, {**HEADERS, "X-Auth-Token": "wrong"}, 401, "signature"),
        (LinkPolicy.SIGNED, PATH, OTHERS, 404, "no such"),
        (LinkPolicy.AUTH, signed(), {}, 401, "credentials"),
        (LinkPolicy.AUTH, PATH, HEADERS, 200, ""),
        (LinkPolicy.PUBLIC, PATH, {}, 200, ""),
        (LinkPolicy.PUBLIC, PATH, OTHERS, 404, "no such"),
        (LinkPolicy.PUBLIC, PATH.replace(ACCOUNT_ID, OTHER_ID), {}, 404, "no such"),
        (LinkPolicy.PUBLIC, PATH.replace(ACCOUNT_ID, "MAnobody"), {}, 404, "no such"),
        (LinkPolicy.PUBLIC, PATH.replace("rec-1", "rec-9"), {}, 404, "no such"),
        (LinkPolicy.PUBLIC, PATH.replace(".mp3", ".wav"), {}, 404, "no such"),
        (LinkPolicy.PUBLIC, PATH.replace(".mp3", ""), {}, 404, "no such"),
        (LinkPolicy.PUBLIC, "/media/Account/../../etc/passwd", {}, 404, "no such"),
        (LinkPolicy.PUBLIC, "/media/", {}, 404, "no such"),
    ],
)
async def test_who_may_read(
    policy: LinkPolicy, target: str, headers: dict[str, str], status: int, said: str
) -> None:
    answer = await ask(media(policy), "GET", target, headers=headers)

    assert answer.status == status
    assert said in answer.text
    assert (answer.body == CONTENT) is (status == 200)


@pytest.mark.parametrize("state", set(RecordingState) - {RecordingState.COMPLETED})
async def test_only_a_final_file_is_found(state: RecordingState) -> None:
    assert (await ask(media(state=state), "GET", PATH, headers=HEADERS)).status == 404


async def test_a_file_that_has_gone_is_not_found() -> None:
    assert (await ask(media(files={}), "GET", PATH, headers=HEADERS)).status == 404


async def test_a_disk_that_cannot_be_read_is_no_bug_of_ours() -> None:
    broken = media(files={"key/rec-1.mp3": None})

    assert (await ask(broken, "GET", PATH, headers=HEADERS)).status == 503


@pytest.mark.parametrize(
    ("name", "content_type"), [("rec-1.mp3", "audio/mpeg"), ("rec-2.wav", "audio/wav")]
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_headers_say_what_the_file_is(method: str, name: str, content_type: str) -> None:
    path = PATH.replace("rec-1.mp3", name)

    answer = await ask(media(), method, path, headers=HEADERS)

    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-length"] == "10"
    assert answer.headers["etag"] == f'"{SHA}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == f'inline; filename="{name}"'
    assert answer.body == (CONTENT if method == "GET" else b"")


@pytest.mark.parametrize(
    ("headers", "status", "body", "content_range"),
    [
        ({"Range": "bytes=2-4"}, 206, b"234", "bytes 2-4/10"),
        ({"Range": "bytes=-3"}, 206, b"789", "bytes 7-9/10"),
        ({"Range": "bytes=7-"}, 206, b"789", "bytes 7-9/10"),
        ({"Range": "bytes=10-"}, 416, b"no such bytes\n", "bytes */10"),
        ({"Range": "bytes=0-1,3-4"}, 200, CONTENT, None),
        ({"Range": "bytes=2-4", "If-Range": f'"{SHA}"'}, 206, b"234", "bytes 2-4/10"),
        ({"Range": "bytes=2-4", "If-Range": '"old"'}, 200, CONTENT, None),
        ({"If-None-Match": f'"{SHA}"'}, 304, b"", None),
        ({"If-None-Match": '"old"'}, 200, CONTENT, None),
    ],
)
async def test_parts_and_conditions(
    headers: dict[str, str], status: int, body: bytes, content_range: str | None
) -> None:
    answer = await ask(media(), "GET", PATH, headers={**HEADERS, **headers})

    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("content-range") == content_range


async def test_large_files_come_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tapeline.api.media.CHUNK_BYTES", 3)

    answer = await ask(media(), "GET", PATH, headers={**HEADERS, "Range": "bytes=1-8"})

    assert answer.body == b"12345678"


async def test_a_player_that_is_refused_is_told_how_to_ask() -> None:
    answer = await ask(media(), "GET", PATH)

    assert answer.headers["www-authenticate"].startswith("Basic")


async def test_other_methods_are_not_allowed() -> None:
    answer = await ask(media(), "DELETE", PATH, headers=HEADERS)

    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_credentials_that_no_dialect_reads_are_as_none() -> None:
    basic = base64.b64encode(b"x:y").decode()

    answer = await ask(media(), "GET", PATH, headers={"Authorization": f"Basic {basic}"})

    assert answer.status == 401


TRACK_PATH = f"/media/Account/{ACCOUNT_ID}/Recording/rec-1/tracks/2.mp3"


@pytest.mark.parametrize(
    ("target", "status"),
    [
        (signed(TRACK_PATH), 200),
        (TRACK_PATH, 401),
        (signed(TRACK_PATH).replace("tracks/2", "tracks/1"), 403),
        (signed(TRACK_PATH.replace("/2.", "/3.")), 404),
        (signed(TRACK_PATH.replace(".mp3", ".wav")), 404),
        (signed(TRACK_PATH.replace("/2.", "/two.")), 404),
        (signed(PATH).replace("rec-1.mp3", "rec-1/tracks/2.mp3"), 403),
    ],
)
async def test_a_track_is_served_by_the_rules_of_its_recording(target: str, status: int) -> None:
    control = MemoryControl(account())
    row = recording(state=RecordingState.COMPLETED, byte_count=len(CONTENT), sha256=SHA)
    control.recordings[row.id] = row
    control.tracks[row.id] = (
        Track(
            recording_id=row.id,
            number=2,
            call_id=None,
            member_id=None,
            offset_ms=0,
            sample_count=1,
            byte_count=5,
            sha256="abc",
            storage_key="k2",
        ),
    )
    app = make_app(control, files={row.storage_key: CONTENT, "k2": b"TRACK"})

    answer = await ask(app, "GET", target)

    assert answer.status == status
    if status == 200:
        assert answer.body == b"TRACK"
        assert answer.headers["etag"] == '"abc"'
        assert "rec-1-2.mp3" in answer.headers["content-disposition"]
