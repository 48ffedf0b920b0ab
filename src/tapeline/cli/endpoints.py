"""Commands about endpoints."""

from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir, OfAccount, group, secret
from tapeline.cli.show import show_many, show_one
from tapeline.domain.command import (
    AddEndpoint,
    ListEndpoints,
    RemoveEndpoint,
    SetEndpointPassword,
)
from tapeline.domain.id import AccountId, ApplicationId

endpoint = group("Endpoints: phones that register and call with a name and a password.")

Username = Annotated[str, typer.Argument(help="The name that the phone registers as.")]
Password = Annotated[
    str | None, typer.Option(help="8 to 128 characters; asked for when it is left out.")
]


@endpoint.command("add")
def add_endpoint(
    username: Username,
    *,
    account_id: Annotated[str, typer.Option("--account", help="Whose it is.")],
    password: Password = None,
    app: Annotated[
        str | None,
        typer.Option(help="The application that answers all its calls, whatever it dials."),
    ] = None,
    caller: Annotated[str, typer.Option(help="What its calls say is calling; else its name.")] = "",
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Add a phone; only hashes of its password are kept."""
    command = AddEndpoint(
        account_id=AccountId(account_id),
        username=username,
        password=secret(password, prompt=f"Password of {username}"),
        application_id=ApplicationId(app) if app else None,
        caller=caller,
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@endpoint.command("list")
def list_endpoints(
    *,
    account_id: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List the phones and where they are registered."""
    command = ListEndpoints(account_id=AccountId(account_id) if account_id else None)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("username", "account", "app_id", "caller", "registered")
    show_many(found, as_json=json, columns=columns)


@endpoint.command("passwd")
def set_endpoint_password(
    username: Username,
    *,
    password: Password = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Set another password."""
    command = SetEndpointPassword(
        account_id=None,
        username=username,
        password=secret(password, prompt=f"New password of {username}"),
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@endpoint.command("remove")
def remove_endpoint(
    username: Username, *, config: ConfigFile = None, data_dir: DataDir = None
) -> None:
    """Remove a phone; a call that it has goes on."""
    found = configured(config=config, data_dir=data_dir)
    ask(found, RemoveEndpoint(account_id=None, username=username))
