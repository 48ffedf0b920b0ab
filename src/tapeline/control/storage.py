"""Use cases about buckets of object storage."""

from dataclasses import replace

from tapeline.control.parts import Parts
from tapeline.domain.command import BucketView, CheckBuckets, ListBuckets, SetBucket, UnsetBucket
from tapeline.domain.error import AccountNotFound, DestinationFault, Invalid, MissingValue
from tapeline.domain.id import AccountId, BucketId, new_uuid
from tapeline.domain.port import Transaction
from tapeline.domain.storage import Bucket

BLOTTED = "…"


async def set_bucket(parts: Parts, command: SetBucket) -> Bucket:
    wanted = Bucket(
        id=BucketId(new_uuid()),
        account_id=command.account_id,
        kind=command.kind,
        name=command.name,
        prefix=command.prefix.strip("/"),
        options=dict(command.options),
        secrets=dict(command.secrets),
        created_at_ms=parts.clock.now_ms(),
    )
    _check(wanted)
    parts.open_bucket(wanted)

    def work(tx: Transaction) -> Bucket:
        if command.account_id is not None and tx.accounts.get(command.account_id) is None:
            raise AccountNotFound(command.account_id)
        known = _own(tx, command.account_id)
        if known is not None and known.address == wanted.address:
            same = replace(known, options=wanted.options, secrets=wanted.secrets)
            tx.buckets.update(same)
            return same
        if known is not None:
            tx.buckets.update(replace(known, retired_at_ms=wanted.created_at_ms))
        tx.buckets.add(wanted)
        return wanted

    return blotted(await parts.store.write(work))


def _check(wanted: Bucket) -> None:
    """Raises Invalid."""
    if not wanted.name:
        raise MissingValue("name")
    if ".." in wanted.prefix or not wanted.prefix.isprintable():
        raise Invalid(field="prefix", value=wanted.prefix, expected="a plain path")


async def unset_bucket(parts: Parts, command: UnsetBucket) -> Bucket | None:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> Bucket | None:
        known = _own(tx, command.account_id)
        if known is not None:
            tx.buckets.update(replace(known, retired_at_ms=now_ms))
        return known

    known = await parts.store.write(work)
    return None if known is None else blotted(known)


def _own(tx: Transaction, account_id: AccountId | None) -> Bucket | None:
    """The one in use by that very account, or by the node."""
    for bucket in tx.buckets.all():
        if bucket.account_id == account_id and bucket.retired_at_ms is None:
            return bucket
    return None


async def list_buckets(parts: Parts, _command: ListBuckets) -> tuple[BucketView, ...]:
    found = await parts.store.read(lambda tx: tx.buckets.all())
    return tuple(BucketView(bucket=blotted(each)) for each in found)


async def check_buckets(parts: Parts, _command: CheckBuckets) -> tuple[BucketView, ...]:
    found = await parts.store.read(lambda tx: tx.buckets.all())
    views = []
    for bucket in found:
        if bucket.retired_at_ms is not None:
            continue
        fault = None
        try:
            await parts.open_bucket(bucket).check()
        except (DestinationFault, Invalid) as error:
            fault = str(error)
        views.append(BucketView(bucket=blotted(bucket), fault=fault))
    return tuple(views)


def blotted(bucket: Bucket) -> Bucket:
    """What may be shown of it."""
    return replace(bucket, secrets=dict.fromkeys(bucket.secrets, BLOTTED))
