"""How the demo drives each vendor's own SDK: every file of this folder offers one `DEMO`.

The values are what any program has: an address, credentials, a room's name. Nothing of the server
is imported here.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """Where tapeline answers, and an account there."""

    base: str
    """`http://127.0.0.1:8080`"""
    auth_id: str
    auth_token: str = field(repr=False)
    api_key: str = field(repr=False)
    public_key: str
    """Base64 of the raw Ed25519 key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """A callback as it arrived; header names are lower-case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SdkDemo:
    """One SDK's way to record a room. Its functions block, as the SDK does."""

    package: str
    """The distribution's name."""
    call: str
    """The line of a program that starts the recording."""
    start: Callable[[Host, str, str], str]
    """host, conference, callback URL -> what the SDK answered, in a few words."""
    stop: Callable[[Host, str], None]
    has_callback_url: bool
    """Whether a start names its callback; else the account's webhook URL is told."""
    is_signed: Callable[[Host, Webhook], bool]
    """By the SDK's own validator."""
    link: Callable[[Webhook], str]
    """Where the callback says the file is."""

    @property
    def version(self) -> str:
        return metadata.version(self.package)


def find_sdk_demos() -> dict[str, SdkDemo | None]:
    """By the file's name; None where the SDK is not installed."""
    return {module.name: _load(module.name) for module in pkgutil.iter_modules(__path__)}


def _load(name: str) -> SdkDemo | None:
    try:
        found: SdkDemo = importlib.import_module(f"{__name__}.{name}").DEMO
    except ModuleNotFoundError:
        return None
    return found
