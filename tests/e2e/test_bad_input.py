"""What bad requests and bad packets get, over the wire; and that nothing is lost by them."""

import asyncio
import io
import secrets
import socket
from collections.abc import AsyncIterator

import pytest
from tests.e2e.site import Site, eventually

from tapeline.testing import Tone, find_tone, read_sound

pytestmark = pytest.mark.asyncio(loop_scope="module")

MIB = 1024 * 1024


async def test_missing_and_wrong_credentials_are_401(site: Site) -> None:
    account = site.account
    path = f"/api/v1/Account/{account.auth_id}/Conference/"
    for headers in (
        {},
        {"X-Auth-ID": account.auth_id},
        {"X-Auth-Token": account.auth_token},
        {"X-Auth-ID": account.auth_id, "X-Auth-Token": "wrong"},
        {"X-Auth-ID": "MA" + "X" * 18, "X-Auth-Token": account.auth_token},
    ):
        reply = await site.rest.at("GET", path, headers=headers)
        assert (reply.status, list(reply.json)) == (401, ["error"]), headers


async def test_a_lower_case_path_is_401_and_another_accounts_too(site: Site) -> None:
    other = await site.another("Other")
    mine, theirs = site.account.auth_id, other.account.auth_id
    for path in (f"account/{mine}/Conference/", f"Account/{mine}/conference/MyConf/record/"):
        method = "POST" if path.endswith("record/") else "GET"
        assert (await site.rest.at(method, f"/api/v1/{path}")).status == 401, path
    assert (await site.rest.at("GET", f"/api/v1/Account/{theirs}/Conference/")).status == 401
    unknown = await site.rest.at("GET", "/api/v1/Nothing/")
    assert (unknown.status, unknown.json) == (404, {"message": "Not Found"})


async def test_another_accounts_things_are_404(site: Site) -> None:
    other = await site.another("Stranger")
    call = await site.sit("mine")
    recording_id = (await site.start("mine"))["recording_id"]

    for method, path in (
        ("GET", f"Recording/{recording_id}/"),
        ("DELETE", f"Recording/{recording_id}/"),
        ("GET", "Conference/mine/"),
        ("POST", "Conference/mine/Record/"),
        ("DELETE", "Conference/mine/Record/"),
    ):
        assert (await other.rest(method, path)).status == 404, (method, path)
    assert (await other.rest("GET", "Recording/")).json["objects"] == []
    assert (await other.rest("GET", "Conference/")).json["conferences"] == []
    await site.stop("mine")
    await call.hang_up()


async def test_what_is_not_there_is_404_and_a_second_start_400(site: Site) -> None:
    nobody = await site.rest("POST", "Conference/nobody/Record/", json={})
    assert (nobody.status, nobody.json) == (404, {"error": "conference not found"})
    call = await site.sit("once")
    idle = await site.rest("DELETE", "Conference/once/Record/")
    assert (idle.status, idle.json) == (404, {"error": "recording not found"})

    await site.start("once")
    second = await site.rest("POST", "Conference/once/Record/", json={})

    assert second.status == 400
    assert "already being recorded" in second.json["error"]
    await site.stop("once")
    await call.hang_up()


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"file_format": "ogg"}', "file_format"),
        (b'{"file_format": 3}', "file_format"),
        (b'{"callback_url": "ftp://cust.example/"}', "callback_url"),
        (b'{"callback_url": "nowhere"}', "callback_url"),
        (b'{"callback_url": "http://"}', "callback_url"),
        (b'{"callback_method": "PUT", "callback_url": "http://cust.example/"}', "callback_method"),
        (b'{"time_limit": 0}', "time_limit"),
        (b'{"file_format": ', "JSON"),
        (b"[]", "object"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 100_000, "JSON"),
    ],
)
async def test_a_bad_body_is_400_with_what_was_wrong(site: Site, body: bytes, word: str) -> None:
    reply = await site.rest("POST", "Conference/nobody/Record/", data=body)

    assert reply.status == 400
    assert word in reply.json["error"]


async def test_a_body_past_its_bound_is_400_told_or_not(site: Site) -> None:
    path = "Conference/nobody/Record/"

    async def untold() -> AsyncIterator[bytes]:
        for _ in range(33):
            yield b" " * (MIB // 32)

    for data in (io.BytesIO(b" " * (MIB + 1)), untold()):
        reply = await site.rest("POST", path, data=data)

        assert reply.status == 400
        assert str(MIB) in reply.json["error"]


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("two words", "two%20words"),
        ("a/b", "a%2Fb"),
        ("Zoë·会议", "Zo%C3%AB%C2%B7%E4%BC%9A%E8%AE%AE"),
        ("100%", "100%25"),
    ],
)
async def test_a_name_may_be_anything(site: Site, name: str, raw: str) -> None:
    number = secrets.token_hex(4)
    document = f"<Response><Conference>{name}</Conference></Response>"
    await site.application(number, answer_document=document)
    call = await site.phone.call(site.node.sip_uri(number))
    await eventually(lambda: is_listed(site, name), f"{name} is listed")

    started = await site.start(raw)
    room = (await site.rest("GET", f"Conference/{raw}/")).json
    await site.stop(raw)

    await call.hang_up()
    assert room["conference_name"] == name
    row = (await site.rest("GET", f"Recording/{started['recording_id']}/")).json
    assert row["conference_name"] == name


async def is_listed(site: Site, name: str) -> bool:
    return name in (await site.rest("GET", "Conference/")).json["conferences"]


async def test_garbage_on_sip_and_rtp_is_counted_and_harms_no_call(site: Site) -> None:
    call = await site.sit("steady", play=Tone(440))
    media = call.stream.remote
    assert media is not None
    started = await site.start("steady", file_format="wav", callback_url=site.receiver.url("/s"))
    before = await site.local.stats()
    await asyncio.sleep(0.3)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for datagram in GARBAGE:
            stranger.sendto(datagram, site.node.sip_address)
            stranger.sendto(datagram, media)
        for datagram in GARBAGE:
            call.stream.rtp.sendto(datagram, media)
    await asyncio.sleep(0.5)

    after = await site.local.stats()
    assert after["sip_malformed"] > before["sip_malformed"]
    assert after["rtp_ignored"] > before["rtp_ignored"]
    assert (await site.phone.options(site.node.sip_uri("room-x"))).status == 200
    await site.stop("steady")
    told = (await site.receiver.wait_for("/s")).json()
    sound = read_sound((await site.fetch(started["url"])).body)
    (span,) = find_tone(sound.mono(), 440)
    assert told["recording_health"] == "ok"
    assert span.duration_ms == pytest.approx(sound.duration_ms, abs=40)
    assert not call.is_over
    await call.hang_up()


GARBAGE = (
    b"",
    b"\x00",
    b"\r\n\r\n",
    b"hello",
    bytes(range(256)) * 5,
    b"\x80" * 11,
    b"\x80\x00" + b"\x01" * 10,
    b"\x80\x7f" + b"\x01" * 400,
    b"\xbf\x80" + b"\xff" * 60,
    b"INVITE sip:room-x@127.0.0.1 SIP/2.0\r\n\r\n",
    b"INVITE sip:room-x@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:9\r\n" + b"a" * 1_000,
    b"SIP/2.0 999999 x\r\nCSeq: x\r\n\r\n",
    b"BYE " + b"x" * 60_000,
)
