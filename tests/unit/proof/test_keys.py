"""The pair of keys: who may read it, what is taken for a public one, rotation."""

import base64
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tapeline.proof import KeyInvalid, Signer, read_public_key

BODY = b'{"n":1}'


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer(tmp_path / "keys")


def test_the_first_start_makes_a_pair_that_only_its_owner_can_read(
    signer: Signer, tmp_path: Path
) -> None:
    private = tmp_path / "keys" / "manifest.pem"
    before = private.read_bytes()

    again = Signer(tmp_path / "keys")

    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert stat.S_IMODE(private.parent.stat().st_mode) == 0o700
    assert again.key_id == signer.key_id
    assert private.read_bytes() == before


def test_a_public_key_is_taken_as_pem_folder_hex_and_base64(signer: Signer, tmp_path: Path) -> None:
    signature = signer.sign(BODY, key_id=signer.key_id)
    (pem,) = (tmp_path / "keys").glob("*.pub.pem")
    (key,) = signer.public_keys()._keys.values()
    raw = key.public_bytes_raw()

    for given in (pem, tmp_path / "keys", raw.hex()):
        keys = read_public_key(given)
        assert keys.has_signed(BODY, signature=signature, key_id=signer.key_id)
        assert not keys.has_signed(BODY + b" ", signature=signature, key_id=signer.key_id)


def test_what_is_no_public_key_is_refused(tmp_path: Path) -> None:
    other = X25519PrivateKey.generate().public_key()
    pem = other.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "x.pem").write_bytes(pem)
    (tmp_path / "text").write_text("hello")
    Signer(tmp_path / "keys")

    for given in ("", "zz", "AAAA", "00" * 31, tmp_path / "x.pem", tmp_path / "text"):
        with pytest.raises(KeyInvalid):
            read_public_key(given)
    with pytest.raises(KeyInvalid, match="private"):
        read_public_key(tmp_path / "keys" / "manifest.pem")


def test_a_private_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    Signer(tmp_path / "keys")
    (tmp_path / "keys" / "manifest.pem").write_text("torn")

    with pytest.raises(KeyInvalid, match=r"manifest\.pem"):
        Signer(tmp_path / "keys")


def test_another_process_s_rotation_is_taken_up_and_the_old_key_stays(
    signer: Signer, tmp_path: Path
) -> None:
    old = signer.key_id
    signature = signer.sign(BODY, key_id=old)

    new = Signer(tmp_path / "keys").rotate()

    assert signer.key_id == new
    assert signer.public_keys().has_signed(BODY, signature=signature, key_id=old)
    assert len(signer.public_keys()) == 2
    with pytest.raises(KeyInvalid, match="rotated"):
        signer.sign(BODY, key_id=old)


def test_what_is_signed_says_that_it_is_a_manifest(signer: Signer) -> None:
    """So no other use of the key gives a signature that fits a manifest."""
    signature = base64.b64decode(signer.sign(BODY, key_id=signer.key_id))
    (key,) = signer.public_keys()._keys.values()

    key.verify(signature, b"tapeline manifest 1\n" + BODY)
    with pytest.raises(InvalidSignature):
        key.verify(signature, BODY)
