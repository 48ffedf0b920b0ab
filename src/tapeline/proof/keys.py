"""The installation's Ed25519 pair for manifests, and the public halves of all it ever had.

    keys/manifest.pem            the private key, PKCS#8, 0600, made at the first start
    keys/manifest-KEYID.pub.pem  a public key; those of earlier pairs stay

A key's id is the first 16 hex digits of the SHA-256 of its 32 raw bytes.
"""

import base64
import binascii
import hashlib
import os
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

PRIVATE_NAME = "manifest.pem"
PUBLIC_GLOB = "manifest-*.pub.pem"
KEY_ID_DIGITS = 16
RAW_BYTES = 32
FILE_LIMIT = 64 * 1024
_PREFIX = b"tapeline manifest 1\n"
"""Signed before the body, so that no other signature of this key is taken for a manifest's."""


class KeyInvalid(ValueError):
    """Not an Ed25519 key that we can use."""


def key_id_of(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:KEY_ID_DIGITS]


class PublicKeys:
    """Whom a verification trusts, by key id."""

    def __init__(self, keys: Iterable[Ed25519PublicKey]) -> None:
        self._keys: Mapping[str, Ed25519PublicKey] = {key_id_of(key): key for key in keys}

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys

    @property
    def pems(self) -> Mapping[str, bytes]:
        return {key_id: _public_pem(key) for key_id, key in self._keys.items()}

    def has_signed(self, body: bytes, *, signature: str, key_id: str) -> bool:
        """False for an unknown key, too."""
        key = self._keys.get(key_id)
        if key is None:
            return False
        try:
            key.verify(base64.b64decode(signature, validate=True), _PREFIX + body)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True


def read_public_key(given: str | Path) -> PublicKeys:
    """A PEM file (several keys may stand in it), a folder of them, or the key itself in Base64 or
    hex. Raises KeyInvalid, OSError.
    """
    path = Path(given)
    if not str(given):
        raise KeyInvalid("an empty text is no public key")
    if path.is_dir():
        return PublicKeys(
            key for file in sorted(path.glob("*.pem")) if file.name != PRIVATE_NAME
            for key in _of_pem(file)
        )  # fmt: skip
    if path.is_file():
        return PublicKeys(_of_pem(path))
    return PublicKeys([_of_text(str(given))])


def _of_pem(file: Path) -> list[Ed25519PublicKey]:
    with file.open("rb") as opened:
        content = opened.read(FILE_LIMIT)
    if b"PRIVATE KEY" in content:
        raise KeyInvalid(f"{file} holds a private key; the public one is wanted")
    end = b"-----END PUBLIC KEY-----"
    found = [part + end for part in content.split(end)[:-1]]
    if not found:
        return [_of_text(content.decode("ascii", "replace").strip())]
    return [_ed25519(part, str(file)) for part in found]


def _ed25519(pem: bytes, place: str) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(pem.strip())
    except ValueError as error:
        raise KeyInvalid(f"{place} holds no public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyInvalid(f"{place} holds another kind of key than Ed25519")
    return key


def _of_text(text: str) -> Ed25519PublicKey:
    try:
        raw = (
            bytes.fromhex(text)
            if len(text) == 2 * RAW_BYTES
            else base64.b64decode(text, validate=True)
        )
    except (ValueError, binascii.Error) as error:
        raise KeyInvalid(f"{text[:80]!r} is no file and no Ed25519 public key") from error
    if len(raw) != RAW_BYTES:
        raise KeyInvalid(f"{text[:80]!r} is no file and no Ed25519 public key")
    return Ed25519PublicKey.from_public_bytes(raw)


def _public_pem(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


class Signer:
    """Signs with the key that stands in the folder now: a rotation needs no restart."""

    def __init__(self, folder: Path) -> None:
        """Makes folder and key when they are not there. Raises KeyInvalid, OSError."""
        self._folder = folder
        self._lock = threading.Lock()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._private_file.exists():
            self._install(Ed25519PrivateKey.generate())
        self._key, self._stamp = self._load()

    @property
    def key_id(self) -> str:
        with self._lock:
            return key_id_of(self._current().public_key())

    def sign(self, body: bytes, *, key_id: str) -> str:
        """Base64. Raises KeyInvalid when the key was rotated since `key_id` was asked for."""
        with self._lock:
            key = self._current()
            if key_id_of(key.public_key()) != key_id:
                raise KeyInvalid("the key for manifests was rotated just now; try again")
            return base64.b64encode(key.sign(_PREFIX + body)).decode()

    def public_keys(self) -> PublicKeys:
        """Of this pair and of all before it."""
        return read_public_key(self._folder)

    def rotate(self) -> str:
        """From now on a new pair signs; returns its id. The old public key stays."""
        with self._lock:
            self._install(Ed25519PrivateKey.generate())
            self._key, self._stamp = self._load()
            return key_id_of(self._key.public_key())

    @property
    def _private_file(self) -> Path:
        return self._folder / PRIVATE_NAME

    def _current(self) -> Ed25519PrivateKey:
        if self._private_file.stat().st_mtime_ns != self._stamp:
            self._key, self._stamp = self._load()
        return self._key

    def _load(self) -> tuple[Ed25519PrivateKey, int]:
        stamp = self._private_file.stat().st_mtime_ns
        try:
            key = load_pem_private_key(self._private_file.read_bytes(), password=None)
        except (ValueError, TypeError) as error:
            raise KeyInvalid(f"{self._private_file} holds no private key in PEM") from error
        if not isinstance(key, Ed25519PrivateKey):
            raise KeyInvalid(f"{self._private_file} holds another kind of key than Ed25519")
        self._publish(key.public_key())
        return key, stamp

    def _install(self, key: Ed25519PrivateKey) -> None:
        """The public half goes first: no manifest is signed by a key that nobody can look up."""
        self._publish(key.public_key())
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        _write_durably(self._private_file, pem, 0o600)

    def _publish(self, key: Ed25519PublicKey) -> None:
        file = self._folder / f"manifest-{key_id_of(key)}.pub.pem"
        if not file.exists():
            _write_durably(file, _public_pem(key), 0o644)


def _write_durably(target: Path, content: bytes, mode: int) -> None:
    draft = target.with_name(f".{target.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.rename(target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
