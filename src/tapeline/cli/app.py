"""The tree of commands."""

from typing import Annotated

import typer

from tapeline import __version__
from tapeline.cli import admin, endpoints, keeping, policies, trunks
from tapeline.cli.backup import backup, restore
from tapeline.cli.demo import demo
from tapeline.cli.doctor import doctor
from tapeline.cli.proof import export_chain, verify
from tapeline.cli.serve import serve
from tapeline.cli.sip import sip
from tapeline.cli.storage import storage

app = typer.Typer(
    name="tapeline",
    help="Record phone calls and conferences on your own machine.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001
    if wanted:
        typer.echo(f"tapeline {__version__}")
        raise typer.Exit


@app.callback()
def root(
    *,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    """Record phone calls and conferences on your own machine."""


app.command()(serve)
app.command()(demo)
app.command()(verify)
app.command()(doctor)
app.command()(backup)
app.command()(restore)
admin.recordings.command("chain")(export_chain)
for _command in (keeping.hold, keeping.release, keeping.keep, keeping.delete, keeping.export):
    admin.recordings.command(_command.__name__)(_command)
app.add_typer(admin.account, name="account")
app.add_typer(admin.application, name="app")
app.add_typer(admin.number, name="number")
app.add_typer(endpoints.endpoint, name="endpoint")
app.add_typer(trunks.trunk, name="trunk")
app.add_typer(policies.policy, name="policy")
app.add_typer(admin.calls, name="calls")
app.add_typer(sip, name="sip")
app.add_typer(admin.conferences, name="conferences")
app.add_typer(admin.recordings, name="recordings")
app.add_typer(admin.transcripts, name="transcripts")
app.add_typer(admin.deliveries, name="deliveries")
app.add_typer(storage, name="storage")
