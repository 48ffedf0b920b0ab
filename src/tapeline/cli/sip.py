"""What SIP did, as the running node remembers it."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from json import dumps
from typing import Annotated

import typer

from tapeline.api.localnode import LocalNode
from tapeline.cli.ask import configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir, group
from tapeline.domain.error import CallNotFound
from tapeline.domain.signal import TracedMessage

sip = group("SIP: what was said on the wire.")


@sip.command("trace")
def trace(
    call: Annotated[str, typer.Argument(help="A live call's id, or any SIP Call-ID.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Print the last SIP messages of a call, without credentials, digits and keys."""
    node = LocalNode(configured(config=config, data_dir=data_dir).data_dir)
    messages = asyncio.run(node.sip_trace(call))
    if not messages:
        raise CallNotFound(call)
    if json:
        typer.echo(dumps([asdict(message) for message in messages], ensure_ascii=False))
        return
    for message in messages:
        typer.echo(text_of(message))


def text_of(message: TracedMessage) -> str:
    """A line of what, when and with whom, and the message itself."""
    at = datetime.fromtimestamp(message.unix_us / 1e6, UTC).isoformat(timespec="milliseconds")
    way = "to" if message.is_sent else "from"
    text = message.text.replace("\r\n", "\n").rstrip("\n")
    return f"--- {at} {way} {message.peer} by {message.transport}\n{text}\n"
