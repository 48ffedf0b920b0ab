"""Commands about accounts, applications, numbers, and the lists."""

from pathlib import Path
from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir, Limit, OfAccount, group
from tapeline.cli.show import show_many, show_one
from tapeline.domain.command import (
    AddNumber,
    CreateAccount,
    CreateApplication,
    GetDelivery,
    GetRecording,
    ListAccounts,
    ListApplications,
    ListCalls,
    ListConferences,
    ListDeliveries,
    ListNumbers,
    ListRecordings,
    ListTranscripts,
    ReplayDelivery,
    RetryWork,
    SetAccount,
)
from tapeline.domain.error import Invalid, InvalidChoice
from tapeline.domain.id import AccountId, ApplicationId, DeliveryId, RecordingId

account = group("Accounts: who owns calls and recordings.")
application = group("Applications: what a call is answered with.")
number = group("Numbers: which called names lead to which application.")
calls = group("Calls.")
conferences = group("Conferences.")
recordings = group("Recordings.")
transcripts = group("Transcripts: the words of recordings.")
deliveries = group("Callbacks: what was sent, and what came of each attempt.")


@account.command("create")
def create_account(
    *,
    name: Annotated[str, typer.Option(help="For people.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make an account; its token and key are shown this once."""
    found = configured(config=config, data_dir=data_dir)
    show_one(ask(found, CreateAccount(name=name)), as_json=json)


@account.command("list")
def list_accounts(
    *, config: ConfigFile = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """List the accounts."""
    found = configured(config=config, data_dir=data_dir)
    columns = ("auth_id", "name", "link_policy", "created_at")
    show_many(ask(found, ListAccounts()), as_json=json, columns=columns)


@account.command("set")
def set_account(
    auth_id: Annotated[str, typer.Argument(help="The account.")],
    *,
    link_policy: Annotated[
        str | None, typer.Option(help="What a link needs: signed, auth or public.")
    ] = None,
    link_life: Annotated[
        int | None, typer.Option(min=1, help="Seconds that a signed link lives.")
    ] = None,
    keep_announcing: Annotated[
        bool | None,
        typer.Option(help="Go on for a day with callbacks of finished recordings."),
    ] = None,
    transcription_rate: Annotated[
        float | None, typer.Option(min=0.0, help="Price of a begun minute's transcription.")
    ] = None,
    keep_days: Annotated[
        int | None, typer.Option(help="Days after which recordings are deleted; 0: never.")
    ] = None,
    webhook_url: Annotated[str | None, typer.Option(help="Default webhook address.")] = None,
    webhook_failover_url: Annotated[
        str | None, typer.Option(help="Where it goes when that fails.")
    ] = None,
    pause_as: Annotated[
        str | None, typer.Option(help="What a pause is in a file: skip or silence.")
    ] = None,
    pause_limit: Annotated[
        int | None, typer.Option(help="Seconds after which a pause ends by itself; 0: never.")
    ] = None,
    beep_every: Annotated[
        int | None, typer.Option(help="Seconds between tones while it is recorded; 0: none.")
    ] = None,
    beep_level: Annotated[float | None, typer.Option(help="Peak of the tones in dBFS.")] = None,
    beep_in_file: Annotated[
        bool | None, typer.Option(help="Whether the tones are in the file, too.")
    ] = None,
    tracks: Annotated[
        bool | None,
        typer.Option(
            help="Record every participant, and each side of a call, in a file of its own, too."
        ),
    ] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A dialect's setting: DIALECT.KEY=VALUE.")
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Change an account's settings."""
    command = SetAccount(
        account_id=AccountId(auth_id),
        link_policy=link_policy,
        link_life_s=link_life,
        keep_announcing=keep_announcing,
        transcription_rate=transcription_rate,
        keep_days=keep_days,
        webhook_url=webhook_url,
        webhook_failover_url=webhook_failover_url,
        pause_as=pause_as,
        pause_limit_s=pause_limit,
        beep_every_s=beep_every,
        beep_level_db=beep_level,
        beep_in_file=beep_in_file,
        tracks=tracks,
        dialect_settings=_dialect_settings(setting or []),
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


def _dialect_settings(pairs: list[str]) -> dict[str, str]:
    """`DIALECT.KEY=VALUE`, checked against what the dialects declare."""
    from tapeline.api.dialect import find_dialects

    known = {
        f"{dialect.name}.{setting.key}": setting
        for dialect in find_dialects().values()
        for setting in dialect.settings
    }
    settings = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key not in known:
            raise InvalidChoice(field="--set", value=pair, choices=tuple(f"{k}=…" for k in known))
        if known[key].choices and value not in known[key].choices:
            raise InvalidChoice(field=key, value=value, choices=known[key].choices)
        settings[key] = value
    return settings


@application.command("create")
def create_application(
    *,
    account_id: Annotated[str, typer.Option("--account", help="Whose it is.")],
    dialect: Annotated[str, typer.Option(help="Whose answer documents it speaks.")],
    name: Annotated[str, typer.Option(help="For people.")],
    answer_url: Annotated[str | None, typer.Option(help="Asked at each call.")] = None,
    method: Annotated[str, typer.Option(help="POST or GET.")] = "POST",
    answer_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="The answer document itself.")
    ] = None,
    hangup_url: Annotated[str | None, typer.Option(help="Told when a call ends.")] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Make an application, led by --answer-url or by the document in --answer-file."""
    if (answer_url is None) == (answer_file is None):
        raise Invalid(
            field="", value=None, expected="give --answer-url or --answer-file, one of them"
        )
    command = CreateApplication(
        account_id=AccountId(account_id),
        dialect=dialect,
        name=name,
        answer_url=answer_url,
        answer_method=method.upper(),
        answer_document=answer_file.read_text(encoding="utf-8") if answer_file else None,
        hangup_url=hangup_url,
    )
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@application.command("list")
def list_applications(
    *,
    account_id: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List the applications."""
    command = ListApplications(account_id=AccountId(account_id) if account_id else None)
    found = ask(configured(config=config, data_dir=data_dir), command)
    show_many(found, as_json=json, columns=("app_id", "account", "dialect", "name", "answer_url"))


@number.command("add")
def add_number(
    pattern: Annotated[str, typer.Argument(help="A called name, or its beginning with * behind.")],
    *,
    app: Annotated[str, typer.Option(help="The application that answers.")],
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Lead a called name or a pattern (7*) to an application; the longest literal part wins."""
    command = AddNumber(pattern=pattern, application_id=ApplicationId(app))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@number.command("list")
def list_numbers(
    *,
    account_id: OfAccount = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List the numbers."""
    command = ListNumbers(account_id=AccountId(account_id) if account_id else None)
    found = ask(configured(config=config, data_dir=data_dir), command)
    show_many(found, as_json=json, columns=("number", "app_id", "account"))


@calls.command("list")
def list_calls(
    *,
    account_id: OfAccount = None,
    live: Annotated[bool, typer.Option(help="Only those going on.")] = False,
    limit: Limit = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List calls, newest first."""
    account = AccountId(account_id) if account_id else None
    command = ListCalls(account_id=account, only_live=live, limit=limit)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("call_id", "from", "to", "state", "created_at", "cause", "detail")
    show_many(found, as_json=json, columns=columns)


@conferences.command("list")
def list_conferences(
    *,
    account_id: OfAccount = None,
    live: Annotated[bool, typer.Option(help="Only those going on.")] = False,
    limit: Limit = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List conferences, newest first."""
    account = AccountId(account_id) if account_id else None
    command = ListConferences(account_id=account, only_live=live, limit=limit)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("name", "state", "participants", "created_at", "end_reason")
    show_many(found, as_json=json, columns=columns)


@recordings.command("list")
def list_recordings(
    *,
    account_id: OfAccount = None,
    limit: Limit = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List recordings, newest first."""
    command = ListRecordings(account_id=AccountId(account_id) if account_id else None, limit=limit)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = (
        "recording_id",
        "conference",
        "format",
        "state",
        "health",
        "duration_ms",
        "started_at",
    )
    show_many(found.views, as_json=json, columns=columns)


@recordings.command("show")
def show_recording(
    recording_id: Annotated[str, typer.Argument(help="The recording.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Show a recording, its health and its tracks."""
    command = GetRecording(account_id=None, recording_id=RecordingId(recording_id))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@recordings.command("retry")
def retry_recording(
    recording_id: Annotated[str, typer.Argument(help="The recording.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Go on with what is stuck after a recording's end: its upload or its transcript."""
    command = RetryWork(account_id=None, recording_id=RecordingId(recording_id))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@transcripts.command("list")
def list_transcripts(
    *,
    account_id: OfAccount = None,
    limit: Limit = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List transcripts, newest first; --json has their text."""
    account = AccountId(account_id) if account_id else None
    command = ListTranscripts(account_id=account, limit=limit)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("transcript_id", "recording_id", "state", "reason", "duration_ms", "finished_at")
    show_many(found, as_json=json, columns=columns)


@deliveries.command("list")
def list_deliveries(
    *,
    account_id: OfAccount = None,
    limit: Limit = 100,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """List callbacks, newest first."""
    command = ListDeliveries(account_id=AccountId(account_id) if account_id else None, limit=limit)
    found = ask(configured(config=config, data_dir=data_dir), command)
    columns = ("delivery_id", "event", "state", "attempts", "last_status", "last_reason", "url")
    show_many(found, as_json=json, columns=columns)


@deliveries.command("show")
def show_delivery(
    delivery_id: Annotated[str, typer.Argument(help="The delivery.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Show a callback and every attempt at it."""
    command = GetDelivery(account_id=None, delivery_id=DeliveryId(delivery_id))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)


@deliveries.command("replay")
def replay_delivery(
    delivery_id: Annotated[str, typer.Argument(help="The delivery.")],
    *,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Tell it again: a new delivery of the same event, signed afresh."""
    command = ReplayDelivery(account_id=None, delivery_id=DeliveryId(delivery_id))
    show_one(ask(configured(config=config, data_dir=data_dir), command), as_json=json)
