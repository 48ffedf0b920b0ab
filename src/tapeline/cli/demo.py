"""`tapeline demo`."""

from typing import Annotated, Literal

import typer


def demo(
    *,
    format: Annotated[str, typer.Option("--format", help="wav or mp3.", metavar="wav|mp3")] = "wav",
    seconds: Annotated[
        int, typer.Option("--seconds", min=4, max=600, help="How long is recorded.")
    ] = 12,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the data folder.")] = False,
) -> None:
    """Show the whole story: three callers, one recorded room, every second checked."""
    from tapeline.demo import run  # numpy and the softphone load only when they are needed

    if format not in {"wav", "mp3"}:
        raise typer.BadParameter("wav or mp3", param_hint="--format")
    wanted: Literal["wav", "mp3"] = "wav" if format == "wav" else "mp3"
    raise typer.Exit(run(format=wanted, seconds=seconds, keep=keep))
