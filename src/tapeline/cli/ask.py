"""Gets a command done: by the running node of that data folder, else on the database itself."""

import asyncio
from pathlib import Path
from typing import TypeVar

from tapeline.api.localnode import LocalNode
from tapeline.config import Config, load
from tapeline.domain.command import Command

OutcomeT = TypeVar("OutcomeT")


def configured(*, config: Path | None, data_dir: Path | None) -> Config:
    """The configuration that `serve` would have; unknown variables are its business to warn of."""
    found, _warnings = load(file=config, flags={"data_dir": data_dir})
    return found


def ask(config: Config, command: Command[OutcomeT]) -> OutcomeT:
    """Raises the TapelineError that the command met, whichever way it went."""
    return asyncio.run(_ask(config, command))


async def _ask(config: Config, command: Command[OutcomeT]) -> OutcomeT:
    running = LocalNode(config.data_dir)
    if await running.is_there():
        return await running.execute(command)
    from tapeline.node import open_offline  # the whole house: loaded only when it is needed

    async with open_offline(config) as control:
        return await control.execute(command)
