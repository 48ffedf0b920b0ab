"""Calls that commands make and steer, on a live node with telephones that share no code with it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.site import DIALECT, Site, eventually, open_site

from tapeline.domain.call import Call, CallState, EndCause, EndSource
from tapeline.domain.command import ConferenceRef as Ref
from tapeline.domain.command import (
    CreateApplication,
    CreateCall,
    EndConference,
    GetCall,
    HangUpCall,
    Members,
    SetParticipants,
    TransferCall,
)
from tapeline.domain.id import AccountId, ApplicationId
from tapeline.testing import Answer, EndedBy, Tone, tone_level
from tapeline.testing import Call as Phone


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with open_site(tmp_path) as opened:
        yield opened


def its_account(site: Site) -> AccountId:
    return AccountId(site.account.auth_id)


async def into(site: Site, room: str) -> ApplicationId:
    """An application whose calls join a room."""
    made = await site.local.execute(
        CreateApplication(
            account_id=its_account(site),
            dialect=DIALECT,
            name=room,
            answer_document=f"<Response><Conference>{room}</Conference></Response>",
        )
    )
    return made.id


async def dial(site: Site, application_id: ApplicationId, **fields: Any) -> Call:
    command = CreateCall(
        account_id=its_account(site),
        application_id=application_id,
        target=site.phone.uri,
        caller="4711",
        dialect=DIALECT,
        **fields,
    )
    return await site.local.execute(command)


async def row(site: Site, call: Call) -> Call:
    return await site.local.execute(GetCall(account_id=its_account(site), call_id=call.id))


async def reaches(site: Site, call: Call, state: CallState) -> Call:
    async def is_there() -> bool:
        return (await row(site, call)).state is state

    await eventually(is_there, f"the call is {state}")
    return await row(site, call)


async def hears(phone: Phone, frequency_hz: int) -> None:
    """Waits until the last half second of what the phone hears holds that tone."""

    async def is_there() -> bool:
        return tone_level(phone.heard().samples[-4_000:], frequency_hz) > -30

    await eventually(is_there, f"{frequency_hz} Hz")


async def heard_more(phone: Phone, samples: int) -> None:
    before = len(phone.heard().samples)

    async def is_there() -> bool:
        return len(phone.heard().samples) >= before + samples

    await eventually(is_there, f"{samples} samples more")


async def test_a_dialled_phone_talks_in_a_room_and_is_hung_up(site: Site) -> None:
    listener = await site.sit("MyConf", caller="ann", play=Tone(440))
    call = await dial(site, await into(site, "MyConf"))
    dialled = await (await site.phone.incoming()).answer(play=Tone(1000))

    await hears(listener, 1000)
    await hears(dialled, 440)
    await site.local.execute(HangUpCall(account_id=its_account(site), call_id=call.id))
    by = await dialled.ended(5)

    assert by is EndedBy.THEM
    last = await reaches(site, call, CallState.ENDED)
    assert (last.end_cause, last.end_source) == (EndCause.NORMAL, EndSource.API)
    assert last.answered_at_ms is not None


@pytest.mark.parametrize(
    ("status", "cause"), [(486, EndCause.BUSY), (404, EndCause.UNKNOWN_NUMBER)]
)
async def test_a_phone_that_refuses_says_why(site: Site, status: int, cause: EndCause) -> None:
    call = await dial(site, await into(site, "MyConf"))

    (await site.phone.incoming()).reject(status, "No")
    last = await reaches(site, call, CallState.ENDED)

    assert (last.end_cause, last.end_source) == (cause, EndSource.CALLEE)


async def test_a_call_lasts_no_longer_than_it_may(site: Site) -> None:
    call = await dial(site, await into(site, "MyConf"), time_limit_ms=1_000)
    dialled = await (await site.phone.incoming()).answer(play=None)

    assert await dialled.ended(5) is EndedBy.THEM
    last = await reaches(site, call, CallState.ENDED)
    assert last.end_cause is EndCause.TIME_LIMIT
    assert last.answered_at_ms is not None
    assert last.ended_at_ms is not None
    assert 1_000 <= last.ended_at_ms - last.answered_at_ms <= 3_000


async def test_a_call_is_transferred_and_its_new_room_ended(site: Site) -> None:
    other = await site.sit("Other", caller="ann", play=Tone(440))
    call = await dial(site, await into(site, "MyConf"))
    dialled = await (await site.phone.incoming()).answer(play=Tone(1000))
    document = b"<Response><Conference>Other</Conference></Response>"
    site.receiver.script("/next", Answer(body=document))
    await reaches(site, call, CallState.ANSWERED)

    await site.local.execute(
        TransferCall(account_id=its_account(site), call_id=call.id, url=site.receiver.url("/next"))
    )
    await hears(other, 1000)
    await site.local.execute(
        EndConference(conference=Ref(account_id=its_account(site), name="Other"))
    )

    assert await dialled.ended(5) is EndedBy.THEM
    assert await other.ended(5) is EndedBy.THEM
    assert (await reaches(site, call, CallState.ENDED)).end_source is EndSource.API


async def test_on_hold_is_neither_heard_nor_hearing(site: Site) -> None:
    ann = await site.sit("MyConf", caller="ann", play=Tone(440))
    bob = await site.sit("MyConf", caller="bob", play=Tone(1000))
    await hears(ann, 1000)
    conference = Ref(account_id=its_account(site), name="MyConf")

    held = await site.local.execute(
        SetParticipants(conference=conference, members=Members(member_ids=("2",)), on_hold=True)
    )
    assert [each.on_hold for each in held] == [True]
    before = len(ann.heard().samples), len(bob.heard().samples)
    await heard_more(ann, 16_000)
    quiet = ann.heard().samples[before[0] + 4_000 :], bob.heard().samples[before[1] + 4_000 :]
    await site.local.execute(SetParticipants(conference=conference, on_hold=False))
    await hears(ann, 1000)

    assert tone_level(quiet[0], 1000) < -60
    assert tone_level(quiet[1], 440) < -60
