"""Commands about object storage."""

from typing import Annotated

import typer

from tapeline.cli.ask import ask, configured
from tapeline.cli.options import AsJson, ConfigFile, DataDir
from tapeline.cli.show import show_many, show_one
from tapeline.domain.command import CheckBuckets, ListBuckets, SetBucket, UnsetBucket
from tapeline.domain.error import Invalid, InvalidChoice
from tapeline.domain.id import AccountId
from tapeline.domain.storage import BucketKind

storage = typer.Typer(
    help="Where finished recordings' bytes go: this node's folder, or object storage.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
LOCAL = "local"
OfAccount = Annotated[
    str | None, typer.Option("--account", help="Of this account; else of all without their own.")
]


@storage.command("set")
def set_storage(
    kind: Annotated[str, typer.Argument(help="local, s3, azure or gcs.")],
    name: Annotated[str, typer.Argument(help="The bucket or container.")] = "",
    *,
    account_id: OfAccount = None,
    prefix: Annotated[str, typer.Option(help="Before every key.")] = "",
    option: Annotated[
        list[str] | None, typer.Option("--option", help="KEY=VALUE: endpoint, region, …")
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option("--secret", help="KEY=VALUE: access_key_id, secret_access_key, …"),
    ] = None,
    config: ConfigFile = None,
    data_dir: DataDir = None,
    json: AsJson = False,
) -> None:
    """Send recordings that finish from now on to a bucket, or keep them in the folder (local)."""
    found = configured(config=config, data_dir=data_dir)
    owner = AccountId(account_id) if account_id else None
    if kind == LOCAL:
        ask(found, UnsetBucket(account_id=owner))
        show_many(ask(found, ListBuckets()), as_json=json, columns=COLUMNS)
        return
    if kind not in set(BucketKind):
        raise InvalidChoice(field="kind", value=kind, choices=(LOCAL, *BucketKind))
    command = SetBucket(
        account_id=owner,
        kind=BucketKind(kind),
        name=name,
        prefix=prefix,
        options=_pairs("--option", option or []),
        secrets=_pairs("--secret", secret or []),
    )
    show_one(ask(found, command), as_json=json)


def _pairs(flag: str, given: list[str]) -> dict[str, str]:
    """The value is not repeated in the error: it may be a secret. Raises Invalid."""
    pairs = {}
    for each in given:
        key, equals, value = each.partition("=")
        if not equals or not key:
            raise Invalid(field="", value=None, expected=f"{flag} is KEY=VALUE")
        pairs[key] = value
    return pairs


COLUMNS = ("bucket", "account", "in_use", "fault")


@storage.command("show")
def show_storage(
    *, config: ConfigFile = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """List the buckets; those not in use any more may still hold recordings."""
    found = configured(config=config, data_dir=data_dir)
    show_many(ask(found, ListBuckets()), as_json=json, columns=COLUMNS[:-1])


@storage.command("check")
def check_storage(
    *, config: ConfigFile = None, data_dir: DataDir = None, json: AsJson = False
) -> None:
    """Write, read and delete a small object in each bucket in use; status 1 when one refuses."""
    views = ask(configured(config=config, data_dir=data_dir), CheckBuckets())
    show_many(views, as_json=json, columns=COLUMNS)
    if any(view.fault is not None for view in views):
        raise typer.Exit(1)
