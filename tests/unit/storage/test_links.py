"""Signed links: only what was signed here opens, and only until it expires."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contract import stores

from tapeline.domain.account import AccountSettings, LinkPolicy
from tapeline.domain.id import EpochMs
from tapeline.storage import Links, LinkState, check, sign

SECRET = b"s" * 32
HEAD = "https://media.example.com"
PATH = f"/media/Account/{stores.ACCOUNT_ID}/Recording/rec-1.wav"
EXPIRES_MS = EpochMs(2_000_000)


def presented(link: str) -> tuple[str, str, str]:
    """Path, expiry and signature, as a server gets them."""
    parts = urlsplit(link)
    query = parse_qs(parts.query)
    return parts.path, query["expires"][0], query["signature"][0]


def state(path: str, expires: str, signature: str, now_ms: int = 1_000_000) -> LinkState:
    return check(path, expires, signature, now_ms=EpochMs(now_ms), secret=SECRET)


def test_a_link_opens_until_it_expires() -> None:
    signed = presented(sign(HEAD + PATH, EXPIRES_MS, SECRET))

    assert signed[:2] == (PATH, "2000")
    assert state(*signed, now_ms=1_999_999) is LinkState.VALID
    assert state(*signed, now_ms=2_000_000) is LinkState.EXPIRED


def test_signing_again_replaces_the_signature_and_keeps_the_path() -> None:
    first = sign(HEAD + PATH, EXPIRES_MS, SECRET)
    second = sign(first, EpochMs(3_000_001), SECRET)

    assert second.split("?")[0] == HEAD + PATH
    assert second.count("signature=") == 1
    assert presented(second)[1] == "3001"


@pytest.mark.parametrize(
    ("path", "expires", "signature"),
    [
        (PATH.replace("rec-1", "rec-2"), None, None),
        (PATH.replace(".wav", ".mp3"), None, None),
        (PATH, "9999999999", None),
        (PATH, "02000", None),
        (PATH, "", None),
        (PATH, "²", None),
        (PATH, "1" * 5000, None),
        (PATH, None, ""),
        (PATH, None, "A" * 43),
        (PATH, None, "ä\udcff"),
    ],
)
def test_anything_changed_is_forged(path: str, expires: str | None, signature: str | None) -> None:
    _, good_expires, good_signature = presented(sign(HEAD + PATH, EXPIRES_MS, SECRET))

    asked = (path, expires or good_expires if expires != "" else "", good_signature)
    asked = asked if signature is None else (*asked[:2], signature)

    assert state(*asked) is LinkState.FORGED


def test_another_key_s_signature_is_forged() -> None:
    assert state(*presented(sign(HEAD + PATH, EXPIRES_MS, b"o" * 32))) is LinkState.FORGED


@given(st.text(), st.text(), st.text())
def test_nothing_that_is_presented_raises_or_opens(path: str, expires: str, sig: str) -> None:
    assert state(path, expires, sig) is LinkState.FORGED


@pytest.mark.parametrize("policy", list(LinkPolicy))
def test_the_account_s_policy_decides_whether_a_link_is_signed(policy: LinkPolicy) -> None:
    links = Links(HEAD, SECRET)
    account = replace(
        stores.account(), settings=AccountSettings(link_policy=policy, link_life_s=60)
    )
    bare = links.link_of(stores.recording())
    given_out = links.for_account(bare, account, EpochMs(1_000_000))

    assert bare == HEAD + PATH
    if policy is LinkPolicy.SIGNED:
        path, expires, signature = presented(given_out)
        assert expires == "1060"
        assert links.check(path, expires, signature, EpochMs(1_000_000)) is LinkState.VALID
    else:
        assert given_out == bare


def test_whoever_signs_may_say_how_long_the_link_lives() -> None:
    links = Links(HEAD, SECRET)
    bare = links.link_of(stores.recording())

    given_out = links.for_account(bare, stores.account(), EpochMs(1_000_000), life_s=600)

    assert presented(given_out)[1] == "1600"


def test_a_head_with_a_path_of_its_own_changes_nothing_that_is_signed() -> None:
    path, expires, signature = presented(sign(f"{HEAD}/sub{PATH}", EXPIRES_MS, SECRET))
    assert state(path.removeprefix("/sub"), expires, signature) is LinkState.VALID
