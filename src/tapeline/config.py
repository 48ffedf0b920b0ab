"""Configuration: one frozen tree, from a TOML file, then `TAPELINE_…` variables, then flags."""

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

ENVIRONMENT_PREFIX = "TAPELINE_"
# Variables that are read elsewhere and are no keys of the tree.
_OTHER_VARIABLES = frozenset({"TAPELINE_MASTER_KEY", "TAPELINE_CONFIG"})

CODECS = {name.lower(): name for name in ("opus", "G722", "PCMU", "PCMA", "L16")}
ROOM_RATE_LIMITS_HZ = (16_000, 48_000)
_REALM = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
LOOPBACK = ("127.0.0.0/8", "::1/128")
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7", "fe80::/10")


class ConfigError(Exception):
    """A key or value that cannot be used; the message names it and what to do."""


def _key(default: Any, description: str) -> Any:
    return field(default=default, metadata={"description": description})


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a node can be told. Lists are comma-separated in variables and flags."""

    data_dir: Path = _key(Path("tapeline-data"), "where rows, keys, spool and recordings are kept")
    http_bind: str = _key("127.0.0.1:8080", "address and port of REST, media and health")
    sip_udp: tuple[str, ...] = _key(("0.0.0.0:5060",), "addresses and ports of SIP over UDP")
    sip_tcp: tuple[str, ...] = _key((), "addresses and ports of SIP over TCP")
    sip_tls: tuple[str, ...] = _key((), "addresses and ports of SIP over TLS")
    sip_ws: tuple[str, ...] = _key((), "addresses and ports of SIP over WebSockets")
    sip_wss: tuple[str, ...] = _key((), "addresses and ports of SIP over WebSockets and TLS")
    sip_tls_certificate: str = _key("", "PEM file: our certificate and those up to its authority")
    sip_tls_key: str = _key("", "PEM file: the key of the certificate")
    sip_tls_client_ca: str = _key(
        "", "PEM file: whose certificates callers by TLS must show; empty: none is asked for"
    )
    sip_tls_trust: str = _key(
        "", "PEM file: whose certificates those we call must show; empty: the system's authorities"
    )
    sip_dns: tuple[str, ...] = _key((), "name servers asked for SIP hosts; empty: the system's")
    rtp_address: str = _key("", "address advertised in SDP; empty: the one that faces each peer")
    rtp_ports: tuple[int, int] = _key((20_000, 29_999), "first and last UDP port for audio")
    codecs: tuple[str, ...] = _key(
        tuple(CODECS.values()), "codecs that may be agreed on, in the order of our own offers"
    )
    room_rate_limit_hz: int = _key(16_000, "highest rate of Opus, L16 and rooms: 16000 or 48000")
    srtp: str = _key("accept", "never, accept (for who offers it) or require")
    sdes_over_plain_sip: bool = _key(
        False, "SRTP keys may travel over SIP that others can read; else SIP over UDP has none"
    )
    public_url: str = _key("", "head of the links; empty: http:// and http_bind")
    outgoing_allow: tuple[str, ...] = _key(
        (), "networks beside the public ones that may be called by HTTP"
    )
    sip_allow: tuple[str, ...] = _key(LOOPBACK + PRIVATE, "networks that may call without digest")
    sip_realm: str = _key(
        "tapeline", "name in digest challenges; endpoints' passwords are hashed with it"
    )
    sip_rate_limit: int = _key(50, "new SIP requests a second and source; 0: no limit")
    sip_rate_limit_exempt: tuple[str, ...] = _key(
        LOOPBACK, "networks that the rate limit does not concern"
    )
    sip_max_unacknowledged: int = _key(2_000, "calls answered but not yet acknowledged, at once")
    sip_ring_limit_s: int = _key(180, "a call that nobody answers ends after so many seconds")
    session_expires_s: int = _key(
        1_800,
        "a call ends whose phone has not shown for so long that it lives; 90 at least",
    )
    sip_transfers: str = _key("refuse", "refuse or accept: what phones get that transfer a call")
    max_calls: int = _key(4_096, "calls at once")
    max_recordings: int = _key(2_048, "recordings at once")
    realtime: bool = _key(True, "run the audio thread under SCHED_FIFO where permitted")
    disk_reserve_mb: int = _key(256, "no recording starts with less free space than this")
    room: bool = _key(True, "a first start makes an account whose room-NAME joins room NAME")
    default_dialect: str = _key("", "whose application that account gets; empty: the first")
    transcription: str = _key("moonshine", "what hears words in recordings: moonshine or none")
    metrics: bool = _key(True, "whether /metrics is served at http_bind, to whoever reaches it")
    stop_grace_s: int = _key(10, "how long a stop waits for callbacks to go out")
    log_format: str = _key("auto", "auto, console or json")
    log_level: str = _key("info", "debug, info, warning or error")

    @property
    def http_address(self) -> tuple[str, int]:
        return split_address(self.http_bind, key="http_bind")

    @property
    def link_head(self) -> str:
        """What recordings' links begin with, without a slash at the end."""
        return (self.public_url or f"http://{self.http_bind}").rstrip("/")


def split_address(text: str, *, key: str) -> tuple[str, int]:
    """`host:port` or `[v6]:port`. Raises ConfigError."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65_535 or not host:  # noqa: PLR2004
        raise ConfigError(f"{key}: {text!r} is not an address with a port, like 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def load(
    *,
    file: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    flags: Mapping[str, Any] | None = None,
) -> tuple[Config, Sequence[str]]:
    """The configuration, and warnings for people. Raises ConfigError."""
    values: dict[str, Any] = {}
    if file is not None:
        values.update(_from_file(file))
    from_environment, warnings = _from_environment(environment)
    values.update(from_environment)
    values.update({key: value for key, value in (flags or {}).items() if value is not None})
    config = replace(Config(), **{key: _convert(key, value) for key, value in values.items()})
    _check(config)
    return config, warnings


def _from_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file}: {error}") from error
    for key in table:
        if key not in _KEYS:
            raise ConfigError(f"{file}: unknown key {key!r}{_nearest(key, list(_KEYS))}")
    return table


def _from_environment(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values, warnings = {}, []
    names = {ENVIRONMENT_PREFIX + key.upper(): key for key in _KEYS}
    for name, value in sorted(environment.items()):
        if name in names:
            values[names[name]] = value
        elif name.startswith(ENVIRONMENT_PREFIX) and name not in _OTHER_VARIABLES:
            known = [*names, *_OTHER_VARIABLES]
            warnings.append(f"unknown variable {name}{_nearest(name, known)}")
    return values, warnings


def _nearest(word: str, known: Sequence[str]) -> str:
    found = difflib.get_close_matches(word, known, n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else ""


def _convert(key: str, value: Any) -> Any:
    kind = _KEYS[key]
    try:
        if kind is bool:
            return _boolean(value)
        if kind is int:
            return int(value)
        if kind is Path:
            return Path(value)
        if kind == tuple[int, int]:
            return _ports(value)
        if kind == tuple[str, ...]:
            parts = value.split(",") if isinstance(value, str) else value
            return tuple(part.strip() for part in parts if part.strip())
        return str(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{key}: {value!r} cannot be used ({error})") from error


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "yes": True, "1": True, "on": True}
    words |= {"false": False, "no": False, "0": False, "off": False}
    if str(value).lower() not in words:
        raise ValueError("true or false is wanted")
    return words[str(value).lower()]


def _ports(value: Any) -> tuple[int, int]:
    low, high = value.split("-") if isinstance(value, str) else value
    return int(low), int(high)


def _check_srtp(config: Config) -> None:
    if config.srtp not in {"never", "accept", "require"}:
        raise ConfigError(f"srtp: {config.srtp!r} is not never, accept or require")
    is_secret = bool(config.sip_tls or config.sip_wss)
    if config.srtp == "require" and not (is_secret or config.sdes_over_plain_sip):
        raise ConfigError(
            "srtp: 'require' needs sip_tls, sip_wss or sdes_over_plain_sip, because SIP over UDP, "
            "TCP and WS can be read by others"
        )


def _check_session(config: Config) -> None:
    if config.session_expires_s < 90:  # noqa: PLR2004 RFC 4028 §4
        raise ConfigError(f"session_expires_s: {config.session_expires_s} is less than 90")


def _check_sip(config: Config) -> None:
    for key in ("sip_udp", "sip_tcp", "sip_tls", "sip_ws", "sip_wss"):
        for address in getattr(config, key):
            split_address(address, key=key)
    if (config.sip_tls or config.sip_wss) and not (
        config.sip_tls_certificate and config.sip_tls_key
    ):
        raise ConfigError("sip_tls, sip_wss: sip_tls_certificate and sip_tls_key are needed")


def _check(config: Config) -> None:
    split_address(config.http_bind, key="http_bind")
    _check_sip(config)
    low, high = config.rtp_ports
    if not 1024 <= low < high <= 65_535:  # noqa: PLR2004
        raise ConfigError(f"rtp_ports: {low}-{high} is no range of ports from 1024 to 65535")
    _check_codecs(config)
    _check_session(config)
    _check_srtp(config)
    for key in ("outgoing_allow", "sip_allow", "sip_rate_limit_exempt"):
        for network in getattr(config, key):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise ConfigError(f"{key}: {error}") from error
    for key, words in {
        "sip_transfers": ("refuse", "accept"),
        "transcription": ("moonshine", "none"),
        "log_format": ("auto", "console", "json"),
        "log_level": ("debug", "info", "warning", "error"),
    }.items():
        if getattr(config, key) not in words:
            raise ConfigError(f"{key}: {getattr(config, key)!r} is none of {', '.join(words)}")
    if not _REALM.fullmatch(config.sip_realm):
        raise ConfigError(f"sip_realm: {config.sip_realm!r} is no name of 1 to 64 letters and dots")
    if config.public_url and not config.public_url.startswith(("http://", "https://")):
        raise ConfigError(f"public_url: {config.public_url!r} is no http or https address")


def _check_codecs(config: Config) -> None:
    names = [name.lower() for name in config.codecs]
    for name in config.codecs:
        if name.lower() not in CODECS:
            raise ConfigError(f"codecs: {name!r} is none of {', '.join(CODECS.values())}")
    if not names or len(set(names)) < len(names):
        raise ConfigError("codecs: at least one is needed, and each only once")
    if config.room_rate_limit_hz not in ROOM_RATE_LIMITS_HZ:
        limits = " or ".join(map(str, ROOM_RATE_LIMITS_HZ))
        raise ConfigError(f"room_rate_limit_hz: {config.room_rate_limit_hz} is not {limits}")


_KEYS: Mapping[str, Any] = {item.name: get_type_hints(Config)[item.name] for item in fields(Config)}


def describe() -> Sequence[tuple[str, str, str]]:
    """Key, default as text and description of each: the reference page is held against this."""
    return [
        (item.name, _as_text(item.default), item.metadata["description"]) for item in fields(Config)
    ]


def _as_text(value: Any) -> str:
    if isinstance(value, tuple):
        return (
            "-".join(map(str, value)) if value and isinstance(value[0], int) else ", ".join(value)
        )
    return str(value).lower() if isinstance(value, bool) else str(value)
