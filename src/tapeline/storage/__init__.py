"""Bytes of finished recordings: where they lie, and the links that open them."""

from tapeline.storage.links import Links, LinkState, check, sign
from tapeline.storage.local import KeyInvalid, LocalStore

__all__ = ["KeyInvalid", "LinkState", "Links", "LocalStore", "check", "sign"]
