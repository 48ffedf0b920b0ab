"""`tapeline serve`: a node until SIGTERM or SIGINT; SIGHUP reads its certificates again."""

import asyncio
import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tapeline.node import Node

from tapeline.config import Config, load
from tapeline.domain.command import AccountCreated
from tapeline.telemetry import get_logger, set_up_logs

_log = get_logger(__name__)
FIRST_ACCOUNT = "first-account.json"


def serve(
    *,
    config: Annotated[Path | None, typer.Option("--config", help="A TOML file.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.")] = None,
    http: Annotated[str | None, typer.Option(help="Address and port of REST.")] = None,
    sip: Annotated[str | None, typer.Option(help="Addresses and ports of SIP over UDP.")] = None,
) -> None:
    """Run a node. See docs/reference/configuration.md for every setting."""
    flags = {"data_dir": data_dir, "http_bind": http, "sip_udp": sip}
    found, warnings = load(file=config, flags=flags)
    set_up_logs(log_format=found.log_format, level=found.log_level)
    for warning in warnings:
        _log.warning("configuration_doubtful", detail=warning)
    raise_descriptor_limit()
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(found))


def _loop_factory() -> "type[asyncio.AbstractEventLoop] | None":
    try:
        import uvloop
    except ImportError:  # not made for this system; asyncio's own loop does
        return None
    return uvloop.Loop


def raise_descriptor_limit() -> None:
    """A call needs three descriptors and a recording two; 1,024 are soon gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        wanted = hard if hard != resource.RLIM_INFINITY else max(soft, 1_048_576)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


async def _serve(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stop_or_end, stop, number)
    from tapeline.node import Node  # the whole house: the other commands do without

    node = Node(config)
    created = await node.start()
    try:
        if created is not None:
            _tell_first_account(config, created)
        _tell_where(config, node)
        loop.add_signal_handler(signal.SIGHUP, _reload, node)
        await stop.wait()
        _log.info("node_stopping")
    finally:
        await node.stop()
    _log.info("node_stopped")


def _reload(node: "Node") -> None:
    """Bad files leave the node as it is: its operator looks at the log."""
    try:
        node.reload_tls()
    except (OSError, ValueError) as error:
        _log.error("certificates_not_reloaded", detail=str(error))
    else:
        _log.info("certificates_reloaded")


def _stop_or_end(stop: asyncio.Event, number: int) -> None:
    """The first signal drains the node, the second ends it as a kill would: the next start mends
    what that leaves.
    """
    if stop.is_set():
        os._exit(128 + number)
    stop.set()


def _tell_where(config: Config, node: "Node") -> None:
    streams: dict[str, list[str]] = {}
    for transport, address in node.sip_streams:
        streams.setdefault(f"sip_{transport}", []).append(address)
    _log.info(
        "node_ready",
        sip=node.sip_addresses,
        **streams,
        http=node.http_url,
        data_dir=str(config.data_dir.resolve()),
    )


def _tell_first_account(config: Config, created: AccountCreated) -> None:
    """Once on a terminal; else in a file that only this user can read."""
    if sys.stdout.isatty():
        typer.echo(
            f"\n  A first account was made. Its token and key are shown only now:\n"
            f"    AUTH_ID={created.account.id}\n"
            f"    TOKEN={created.auth_token}\n"
            f"    API_KEY={created.api_key}\n"
            f"  Call sip:room-NAME@<this machine> from a softphone: you are in the room NAME.\n"
        )
        return
    path = config.data_dir / FIRST_ACCOUNT
    text = json.dumps(
        {
            "auth_id": created.account.id,
            "auth_token": created.auth_token,
            "api_key": created.api_key,
            "public_key": created.account.public_key,
        }
    )
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text + "\n")
    _log.info("first_account_created", credentials=str(path.resolve()))
