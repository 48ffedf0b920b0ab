"""The master key: what is kept encrypted at rest, and keys derived from it for other uses.

AES-256-GCM with a fresh 96-bit nonce for each value; the place a value stands in (table, column,
row) is authenticated with it, so that one row's secret cannot be moved to another's.
"""

import base64
import binascii
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tapeline.domain.error import Unavailable

MASTER_KEY_BYTES = 32
_NONCE_BYTES = 12
_VERSION = "v1:"


class MasterKeyInvalid(Unavailable):
    """The key has the wrong shape, or is not the one these rows were written with."""


class Vault:
    """Seals and opens secrets of rows; derives keys by purpose."""

    def __init__(self, master_key: bytes) -> None:
        """`master_key`: 32 bytes. Raises MasterKeyInvalid."""
        if len(master_key) != MASTER_KEY_BYTES:
            raise MasterKeyInvalid(
                f"the master key has {len(master_key)} bytes, it needs {MASTER_KEY_BYTES}",
            )
        self._master_key = master_key
        self._cipher = AESGCM(self.derive("rows"))

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HKDF-SHA256); the same for the same key for ever."""
        return HKDF(
            algorithm=SHA256(), length=32, salt=None, info=b"tapeline/" + purpose.encode()
        ).derive(self._master_key)

    def seal(self, secret: bytes, place: str) -> str:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = nonce + self._cipher.encrypt(nonce, secret, place.encode())
        return _VERSION + base64.b64encode(sealed).decode()

    def open(self, sealed: str, place: str) -> bytes:
        """Raises MasterKeyInvalid when the text was not sealed by this key for this place."""
        try:
            raw = base64.b64decode(sealed.removeprefix(_VERSION), validate=True)
            return self._cipher.decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], place.encode())
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise MasterKeyInvalid(
                f"{place} cannot be decrypted: this master key is not the one it was stored with; "
                "start with the right TAPELINE_MASTER_KEY or master.key",
            ) from error


def read_master_key(text: str) -> bytes:
    """64 hexadecimal digits or the Base64 (either alphabet) of 32 bytes. Raises
    MasterKeyInvalid.
    """
    compact = text.strip()
    try:
        if len(compact) == 2 * MASTER_KEY_BYTES:
            return bytes.fromhex(compact)
        padded = compact + "=" * (-len(compact) % 4)
        key = base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True)
    except (ValueError, binascii.Error) as error:
        raise MasterKeyInvalid(
            "the master key must be 64 hexadecimal digits or Base64 of 32 bytes",
        ) from error
    if len(key) != MASTER_KEY_BYTES:
        raise MasterKeyInvalid(
            f"the master key has {len(key)} bytes, it needs {MASTER_KEY_BYTES}",
        )
    return key


def load_master_key(path: Path, configured: str | None) -> bytes:
    """The configured key, else the one in `path`, which is made (0600) when it is not there.

    Raises MasterKeyInvalid, OSError.
    """
    if configured:
        return read_master_key(configured)
    try:
        return read_master_key(path.read_text())
    except FileNotFoundError:
        key = secrets.token_bytes(MASTER_KEY_BYTES)
        _write_private(path, key.hex() + "\n")
        return key


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, 0600, durable: losing this file loses every secret in the rows."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
