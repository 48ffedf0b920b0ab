"""Commands about trunks."""

from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir, OfAccount, group, secret
from tapeline.cli.show import show_many, show_one
from tapeline.domain.command import (
    AddTrunk,
    CheckTrunk,
    GetTrunk,
    ListTrunks,
    RemoveTrunk,
    SetTrunkPassword,
)
from tapeline.domain.e164 import NumberRules
from tapeline.domain.error import Invalid
from tapeline.domain.id import AccountId, ApplicationId, EpochMs, TrunkId
from tapeline.domain.trunk import CallerRules, SrtpPolicy, Trunk, TrunkTarget

trunk = group("Trunks: ways to and from carriers and PBXs.")

Name = Annotated[str, typer.Argument(help="The trunk.")]
Account = Annotated[
    str | None, typer.Option("--account", help="Whose it is, where several have that name.")
]
Password = Annotated[str | None, typer.Option(help="Of --username; asked for when it is left out.")]


@trunk.command("add")
def add_trunk(
    name: Annotated[str, typer.Argument(help="A name of yours.")],
    *,
    account_id: Annotated[str, typer.Option("--account", help="Whose it is.")],
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Where calls go: sip:HOST[:PORT][;transport=tcp], with ,PRIORITY,WEIGHT behind"
            " it if need be. Again for more."
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="A network whose calls are the trunk's. Again for more."),
    ] = None,
    username: Annotated[str, typer.Option(help="Answers the carrier's challenges.")] = "",
    password: Password = None,
    register: Annotated[
        bool, typer.Option("--register", help="Register with the first target.")
    ] = False,
    digest: Annotated[
        bool, typer.Option("--digest", help="Calls that prove to be --username are the trunk's.")
    ] = False,
    expires: Annotated[int, typer.Option(help="Seconds of a registration.")] = 600,
    watch: Annotated[
        int, typer.Option(help="Seconds between two looks at each target; 0: none.")
    ] = 30,
    app: Annotated[
        str | None, typer.Option(help="The application that answers its calls; else by number.")
    ] = None,
    priority: Annotated[int, typer.Option(help="The lowest of the account's is first.")] = 10,
    channels: Annotated[int, typer.Option(help="Calls at once; 0: no limit.")] = 0,
    codec: Annotated[
        list[str] | None, typer.Option(help="Offered there, in this order. Again for more.")
    ] = None,
    srtp: Annotated[SrtpPolicy, typer.Option(help="Of calls there.")] = SrtpPolicy.NEVER,
    country: Annotated[str, typer.Option(help="Calling code of numbers without one: 49.")] = "",
    national: Annotated[str, typer.Option(help="What is before a number in the country.")] = "0",
    international: Annotated[str, typer.Option(help="What is before a calling code.")] = "00",
    strip: Annotated[str, typer.Option(help="What it puts before numbers it sends.")] = "",
    prefix: Annotated[str, typer.Option(help="What it wants before numbers we send.")] = "",
    plus: Annotated[bool, typer.Option(help="Whether it writes + before a calling code.")] = True,
    caller: Annotated[str, typer.Option(help="For calls whose caller is no number.")] = "",
    only_caller: Annotated[
        bool, typer.Option("--only-caller", help="--caller for every call.")
    ] = False,
    assert_caller: Annotated[
        bool, typer.Option("--assert-caller", help="Send P-Asserted-Identity.")
    ] = False,
    private: Annotated[bool, typer.Option("--private", help="Send Privacy: id.")] = False,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Add a trunk. It sends calls with --target, takes them with --source or --digest."""
    made = Trunk(
        id=TrunkId(""),
        account_id=AccountId(account_id),
        name=name,
        targets=tuple(_target(each) for each in target or ()),
        priority=priority,
        username=username,
        registers=register,
        register_expires_s=expires,
        proves_itself=digest,
        sources=tuple(source or ()),
        application_id=ApplicationId(app) if app else None,
        watch_every_s=watch,
        channel_limit=channels,
        codecs=tuple(codec or ()),
        srtp=srtp,
        numbers=NumberRules(
            country=country,
            national=national,
            international=international,
            strip=strip,
            prefix=prefix,
            has_plus=plus,
        ),
        caller=CallerRules(
            number=caller, is_fixed=only_caller, is_asserted=assert_caller, is_private=private
        ),
        created_at_ms=EpochMs(0),
    )
    known = secret(password, prompt=f"Password of {username}") if username else password or ""
    command = AddTrunk(trunk=made, password=known)
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def _target(text: str) -> TrunkTarget:
    uri, *rest = text.split(",")
    try:
        numbers = [int(each) for each in rest]
    except ValueError:
        numbers = [0] * 3
    match numbers:
        case []:
            return TrunkTarget(uri=uri)
        case [priority]:
            return TrunkTarget(uri=uri, priority=priority)
        case [priority, weight]:
            return TrunkTarget(uri=uri, priority=priority, weight=weight)
    raise Invalid(field="--target", value=text, expected="sip:HOST[:PORT],PRIORITY,WEIGHT")


@trunk.command("list")
def list_trunks(
    *,
    account_id: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List the trunks."""
    command = ListTrunks(account_id=AccountId(account_id) if account_id else None)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("name", "account", "targets", "registration", "calls", "channels")
    show_many(found, as_json=json, columns=columns)


@trunk.command("show")
def show_trunk(
    name: Name,
    *,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Show a trunk's settings."""
    command = GetTrunk(account_id=AccountId(account_id) if account_id else None, name=name)
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@trunk.command("check")
def check_trunk(
    name: Name,
    *,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Ask the running node how a trunk fares; exit status 1 when calls there would fail."""
    command = CheckTrunk(account_id=AccountId(account_id) if account_id else None, name=name)
    view = ask(configured(config=config, data_dir=data_dir), command)
    show_one(view, as_json=json)
    if not view.is_well:
        raise typer.Exit(1)


@trunk.command("passwd")
def set_trunk_password(
    name: Name,
    *,
    password: Password = None,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Set another password; a registration is made anew with it."""
    command = SetTrunkPassword(
        account_id=AccountId(account_id) if account_id else None,
        name=name,
        password=secret(password, prompt=f"New password of {name}"),
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@trunk.command("remove")
def remove_trunk(
    name: Name,
    *,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Remove a trunk; calls that it has go on."""
    command = RemoveTrunk(account_id=AccountId(account_id) if account_id else None, name=name)
    ask(configured(config=config, data_dir=data_dir), command)
