"""`tapeline doctor`: what is not in order for calls to be recorded."""

import asyncio
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from tapeline.api.localnode import LocalNode
from tapeline.cli import checks
from tapeline.cli.ask import configured
from tapeline.cli.checks import Check, Grade
from tapeline.cli.options import ConfigFile, DataDir
from tapeline.config import Config


def doctor(
    *,
    certificate: Annotated[
        list[Path] | None,
        typer.Option(help="One more to look at; may be repeated."),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Look at database, files, ports, clock, permissions, disk and certificates; change nothing.
    Exit status 1 when something is wrong, 0 when at most something is doubtful.
    """
    found = configured(config=config, data_dir=data_dir)
    is_running = asyncio.run(LocalNode(found.data_dir).is_there())
    worst = Grade.OK
    for check in look(found, certificate or [], datetime.now(UTC), is_running=is_running):
        typer.echo(f"{check.grade.value:<8}  {check.name}: {check.text}")
        if check.grade is Grade.WRONG:
            worst = Grade.WRONG
    if worst is Grade.WRONG:
        raise typer.Exit(1)


def look(
    config: Config, certificates: list[Path], now: datetime, *, is_running: bool
) -> Iterator[Check]:
    data_dir = config.data_dir.absolute()
    database = checks.check_database(data_dir)
    yield database
    if database.grade is not Grade.WRONG:
        try:
            yield from checks.check_orphans(data_dir)
            yield checks.check_clock(data_dir, now)
            yield checks.check_disk(config, free_bytes=lambda path: shutil.disk_usage(path).free)
        except sqlite3.Error as error:
            text = f"its tables are another version's ({error}); start the node once"
            yield Check(name="database", grade=Grade.WRONG, text=text)
    yield checks.check_ports(config, is_running=is_running)
    yield checks.check_realtime(config)
    yield checks.check_secrets(data_dir)
    configured_one = [Path(config.sip_tls_certificate)] if config.sip_tls_certificate else []
    for file in configured_one + certificates:
        yield checks.check_certificate(file, now)
