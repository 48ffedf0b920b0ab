"""The master key: found or made, and what it seals opens nowhere else."""

import base64
import stat
from pathlib import Path

import pytest

from tapeline.state import MasterKeyInvalid, Vault, load_master_key
from tapeline.state.vault import read_master_key

KEY = bytes(range(32))


def test_a_sealed_secret_opens_only_with_its_key_and_at_its_place() -> None:
    sealed = Vault(KEY).seal(b"secret", "accounts/1/auth_token")

    assert Vault(KEY).open(sealed, "accounts/1/auth_token") == b"secret"
    with pytest.raises(MasterKeyInvalid):
        Vault(KEY).open(sealed, "accounts/2/auth_token")
    with pytest.raises(MasterKeyInvalid):
        Vault(bytes(32)).open(sealed, "accounts/1/auth_token")


def test_a_secret_is_never_sealed_twice_alike() -> None:
    vault = Vault(KEY)
    assert vault.seal(b"secret", "place") != vault.seal(b"secret", "place")


@pytest.mark.parametrize("text", ["", "v1:", "v1:AAAA", "v1:not base64!", "v2:" + "A" * 80])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(MasterKeyInvalid):
        Vault(KEY).open(text, "place")


def test_derived_keys_differ_by_purpose_and_stay_the_same() -> None:
    assert Vault(KEY).derive("links") == Vault(KEY).derive("links")
    assert Vault(KEY).derive("links") != Vault(KEY).derive("rows")


@pytest.mark.parametrize(
    "text",
    [
        KEY.hex(),
        KEY.hex().upper() + "\n",
        base64.b64encode(KEY).decode(),
        base64.urlsafe_b64encode(KEY).decode().rstrip("="),
    ],
)
def test_a_master_key_may_be_hexadecimal_or_base64(text: str) -> None:
    assert read_master_key(text) == KEY


@pytest.mark.parametrize(
    "text", ["", "short", "ä" * 64, "zz" * 32, base64.b64encode(b"x").decode()]
)
def test_anything_else_is_no_master_key_and_is_not_repeated_in_the_message(text: str) -> None:
    with pytest.raises(MasterKeyInvalid) as caught:
        read_master_key(text)
    assert not text or text not in str(caught.value)


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "master.key"

    first = load_master_key(path, None)
    again = load_master_key(path, None)

    assert first == again
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_master_key(path, KEY.hex()) == KEY
