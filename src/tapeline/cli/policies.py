"""Commands about recording policies."""

from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir, OfAccount, group
from tapeline.cli.show import show_many, show_one
from tapeline.domain.command import ListPolicies, RemovePolicy, SetPolicy
from tapeline.domain.id import AccountId
from tapeline.domain.policy import PolicySubject, RecordFrom
from tapeline.domain.recording import Layout, RecordingFormat, RecordingOptions
from tapeline.domain.signal import PauseAs

policy = group(
    "Recording policies: which calls are recorded without anybody asking."
    " Of several that fit a call, endpoint wins over number, application and trunk."
)

Subject = Annotated[PolicySubject, typer.Argument(help="Whose calls.")]
SubjectName = Annotated[
    str, typer.Argument(help="The endpoint's, number's or trunk's name, the application's id.")
]
Account = Annotated[
    str | None, typer.Option("--account", help="Whose it is, where several have that name.")
]


@policy.command("set")
def set_policy(
    subject: Subject,
    name: SubjectName,
    *,
    begins: Annotated[
        RecordFrom,
        typer.Option("--from", help="The moment; never: these are not, whatever the rest says."),
    ] = RecordFrom.ANSWER,
    format_: Annotated[RecordingFormat, typer.Option("--format")] = RecordingFormat.MP3,
    layout: Annotated[Layout, typer.Option(help="Mixed, or what its channels hold.")] = Layout.MIX,
    limit: Annotated[int, typer.Option(min=0, help="Seconds; 0: to the call's end.")] = 0,
    beep: Annotated[bool, typer.Option("--beep", help="A tone at the start.")] = False,
    trim: Annotated[bool, typer.Option("--trim", help="Without silent ends.")] = False,
    pause_as: Annotated[
        PauseAs | None, typer.Option(help="What a pause is; else as the account has it.")
    ] = None,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Record every call of an endpoint, number, application or trunk."""
    command = SetPolicy(
        account_id=AccountId(account_id) if account_id else None,
        subject=subject,
        subject_id=name,
        begins=begins,
        options=RecordingOptions(
            format=format_,
            layout=layout,
            limit_ms=limit * 1_000,
            beep=beep,
            trim_silence=trim,
            pause_as=pause_as,
        ),
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@policy.command("list")
def list_policies(
    *,
    account_id: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List the policies."""
    command = ListPolicies(account_id=AccountId(account_id) if account_id else None)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("subject", "name", "account", "from", "format", "layout", "limit_s")
    show_many(found, as_json=json, columns=columns)


@policy.command("remove")
def remove_policy(
    subject: Subject,
    name: SubjectName,
    *,
    account_id: Account = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
) -> None:
    """Remove a policy; what it records goes on to its end."""
    command = RemovePolicy(
        account_id=AccountId(account_id) if account_id else None, subject=subject, subject_id=name
    )
    ask(configured(config=config, data_dir=data_dir), command)
