"""What the SDKs are tried on: rooms and calls with tones in them, and what came of a recording."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.e2e.site import PATIENCE_S, Site, eventually

from tapeline.domain.command import AddNumber, CreateApplication, ListCalls, SetAccount
from tapeline.domain.id import AccountId
from tapeline.testing import Call, Received, Softphone, Sound, Tone, read_sound, tone_level

CALLER_HZ, CALLEE_HZ = 440.0, 1_000.0
HEARD_DB, SILENT_DB = -30.0, -60.0


async def blocking(function: Callable[..., Any], *args: Any, **more: Any) -> Any:
    """The SDKs block, and the customer's server runs in this loop."""
    return await asyncio.to_thread(function, *args, **more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """Two telephones that hear each other, one called by way of the node."""

    caller: Call
    callee: Call
    call_id: str
    """The caller's."""


@asynccontextmanager
async def talking(site: Site, dialect: str, *, number: str = "talk") -> AsyncIterator[Talk]:
    """The called number's document dials a second telephone."""
    async with Softphone("callee") as phone:
        document = f"<Response><Dial><User>{phone.uri}</User></Dial></Response>"
        await answer_with(site, dialect, number, document)
        dialling = asyncio.create_task(
            site.phone.call(site.node.sip_uri(number), play=Tone(CALLER_HZ), caller=number)
        )
        callee = await (await phone.incoming()).answer(play=Tone(CALLEE_HZ))
        caller = await dialling
        try:
            yield Talk(caller=caller, callee=callee, call_id=await call_of(site, number))
        finally:
            await caller.hang_up()
            await callee.hang_up()


async def answer_with(site: Site, dialect: str, number: str, document: str) -> None:
    """A number whose calls that dialect answers with the document."""
    account_id = AccountId(site.account.auth_id)
    made = await site.local.execute(
        CreateApplication(
            account_id=account_id, dialect=dialect, name=number, answer_document=document
        )
    )
    await site.local.execute(AddNumber(pattern=number, application_id=made.id))


async def call_of(site: Site, caller: str) -> str:
    """The id of the live call of that caller, once it is answered."""
    found: list[str] = []

    async def is_there() -> bool:
        calls = await site.local.execute(ListCalls(only_live=True))
        found[:] = [
            call.id
            for call in calls
            if call.caller == caller and call.parent_id is None and call.answered_at_ms is not None
        ]
        return bool(found)

    await eventually(is_there, f"an answered call from {caller}")
    return found[0]


async def listen(site: Site, told: Received, field: str) -> Sound:
    """The recording that a callback's link leads to."""
    reply = await site.fetch(told.fields()[field])
    assert reply.status == 200, reply.body
    return read_sound(reply.body)


def hears(sound: Sound, channel: int, hz: float) -> bool:
    """Whether the tone is in the channel's second half, or not at all: between is an error."""
    samples = sound.channel(channel)
    level = tone_level(samples[len(samples) // 2 :], hz, rate_hz=sound.rate_hz)
    assert level > HEARD_DB or level < SILENT_DB, level
    return level > HEARD_DB


async def wait_for(site: Site, path: str, *, count: int = 1) -> Received:
    return await site.receiver.wait_for(path, count=count, timeout_s=PATIENCE_S)


@asynccontextmanager
async def choosing(site: Site, key: str, *, choice: str, default: str) -> AsyncIterator[None]:
    """A dialect's setting of the account, for as long as it lasts."""
    account_id = AccountId(site.account.auth_id)

    async def choose(value: str) -> None:
        await site.local.execute(SetAccount(account_id=account_id, dialect_settings={key: value}))

    await choose(choice)
    try:
        yield
    finally:
        await choose(default)
