"""Bytes of finished recordings: where they lie, and the links that open them."""

from tapeline.storage.links import Links, LinkState, check, sign
from tapeline.storage.local import KeyInvalid, LocalStore
from tapeline.storage.places import Buckets, Places
from tapeline.storage.remote import RemoteStore

__all__ = [
    "Buckets",
    "KeyInvalid",
    "LinkState",
    "Links",
    "LocalStore",
    "Places",
    "RemoteStore",
    "check",
    "sign",
]
