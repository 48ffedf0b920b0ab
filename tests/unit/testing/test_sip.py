import random

import pytest

from tapeline.testing.sip import (
    SipRequest,
    SipResponse,
    SipSyntaxError,
    address_uri,
    build_sdp,
    parameter,
    parse_sdp,
    parse_sip,
    uri_target,
)

INVITE = (
    b"INVITE sip:room-a@127.0.0.1 SIP/2.0\r\nv: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKx\r\n"
    b"From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\ni: id1\r\nCSeq: 4 INVITE\r\n"
    b"Subject: one\r\n two\r\nContent-Length: 3\r\n\r\nabcdef"
)


def test_a_request_is_read_with_compact_and_folded_headers() -> None:
    message = parse_sip(INVITE)

    assert isinstance(message, SipRequest)
    assert (message.method, message.uri) == ("INVITE", "sip:room-a@127.0.0.1")
    assert message.branch == "z9hG4bKx"
    assert message.call_id == "id1"
    assert message.cseq == (4, "INVITE")
    assert message.header("subject") == "one two"
    assert message.body == b"abc"


def test_a_response_survives_bytes() -> None:
    sent = SipResponse(status=480, reason="Temporarily Unavailable", headers=(("To", "<sip:b>"),))

    again = parse_sip(sent.to_bytes())

    assert isinstance(again, SipResponse)
    assert (again.status, again.reason) == (480, "Temporarily Unavailable")


@pytest.mark.parametrize(
    "datagram",
    [b"", b"hello\r\n\r\n", b"\r\n\r\n", b"INVITE x SIP/3.0\r\n\r\n", b"a b c\r\nx\r\n\r\n"],
)
def test_what_is_no_sip_is_refused(datagram: bytes) -> None:
    with pytest.raises(SipSyntaxError):
        parse_sip(datagram)


def test_mutated_messages_never_raise_anything_else() -> None:
    dice = random.Random(3)

    for _ in range(3_000):
        content = bytearray(INVITE)
        for _ in range(dice.randrange(1, 8)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        try:
            message = parse_sip(bytes(content))
        except SipSyntaxError:
            continue
        _ = message.cseq, message.branch


def test_addresses() -> None:
    assert parameter('"A" <sip:a@h;x=1>;tag=77;y=2', "tag") == "77"
    assert address_uri('"A" <sip:a@h:5>;tag=7') == "sip:a@h:5"
    assert uri_target("sip:room-x@127.0.0.1:5066;transport=udp") == ("127.0.0.1", 5066)
    assert uri_target("sip:x@[::1]") == ("::1", 5060)
    with pytest.raises(ValueError, match="no SIP URI"):
        uri_target("tel:+123")


def test_sdp_survives() -> None:
    media = parse_sdp(build_sdp("127.0.0.1", 20_000, ["PCMA", "PCMU"]))

    assert media is not None
    assert (media.address, media.port) == ("127.0.0.1", 20_000)
    assert media.payload_types == (8, 0, 101)
    assert media.type_of("telephone-event") == 101
    assert parse_sdp(b"v=0\r\n") is None
