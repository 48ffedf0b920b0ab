"""Options that many commands have."""

from pathlib import Path
from typing import Annotated

import typer

ConfigFile = Annotated[Path | None, typer.Option("--config", help="The TOML file of the node.")]
DataDir = Annotated[
    Path | None, typer.Option("--data-dir", help="The node's data folder, if not the configured.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
OfAccount = Annotated[str | None, typer.Option("--account", help="Only this account's.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="At most so many.")]


def group(text: str) -> typer.Typer:
    return typer.Typer(help=text, no_args_is_help=True, rich_markup_mode=None)


def secret(given: str | None, *, prompt: str) -> str:
    """As given, or typed twice where nobody sees it."""
    if given is not None:
        return given
    typed: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=True)
    return typed
