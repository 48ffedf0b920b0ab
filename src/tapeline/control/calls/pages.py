"""Use case: an account's calls by page."""

from tapeline.control.parts import Parts
from tapeline.domain.command import CallPage, PageCalls


async def page_calls(parts: Parts, command: PageCalls) -> CallPage:
    found, total = await parts.store.read(
        lambda tx: tx.calls.page(
            command.account_id, command.filter, limit=command.limit, offset=command.offset
        )
    )
    return CallPage(calls=tuple(found), total=total, limit=command.limit, offset=command.offset)
