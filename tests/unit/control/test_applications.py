from typing import Any

import pytest
from tests.unit.control.support import COMMANDED, DIALECT, World, document

from tapeline.domain import event
from tapeline.domain.command import (
    AddNumber,
    Command,
    CreateAccount,
    CreateApplication,
    DeleteApplication,
    GetApplication,
    ListApplications,
    ListNumbers,
    UpdateApplication,
)
from tapeline.domain.error import (
    AccountNotFound,
    AlreadyExists,
    ApplicationNotFound,
    Invalid,
    TooLarge,
)
from tapeline.domain.id import AccountId, ApplicationId

URL = "http://example.com/answer"


def application(node: World, **fields: Any) -> CreateApplication:
    return CreateApplication(
        **{"account_id": node.account.id, "dialect": "plain", "name": "Rooms", **fields}
    )


async def test_an_application_is_kept_and_listed(node: World) -> None:
    created = await node.control.execute(
        application(node, answer_url=URL, answer_method="GET", hangup_url=URL)
    )

    assert await node.control.execute(ListApplications(account_id=node.account.id)) == (created,)
    assert await node.control.execute(ListApplications()) == (created,)
    assert (created.answer_url, created.answer_method) == (URL, "GET")


async def test_all_that_was_asked_is_kept(node: World) -> None:
    other = "http://example.com/other"

    created = await node.control.execute(
        application(
            node,
            answer_url=URL,
            fallback_url=other,
            fallback_method="GET",
            hangup_url=URL,
            hangup_method="GET",
            extras={"timeout": "5"},
        )
    )

    shown = await node.control.execute(
        GetApplication(account_id=node.account.id, application_id=created.id)
    )
    assert shown == created
    assert (shown.fallback_url, shown.fallback_method, shown.hangup_method) == (other, "GET", "GET")
    assert shown.extras == {"timeout": "5"}


async def test_applications_are_listed_by_dialect(node: World) -> None:
    plain = await node.control.execute(application(node, answer_url=URL))
    commanded = await node.control.execute(application(node, answer_url=URL, dialect=COMMANDED))

    assert await node.control.execute(ListApplications(dialect=DIALECT)) == (plain,)
    assert await node.control.execute(ListApplications(dialect=COMMANDED)) == (commanded,)


async def test_an_update_changes_what_it_names(node: World) -> None:
    created = await node.control.execute(
        application(node, answer_url=URL, hangup_url=URL, extras={"a": "1", "b": "2"})
    )

    changed = await node.control.execute(
        UpdateApplication(
            account_id=node.account.id,
            application_id=created.id,
            name="Other",
            answer_method="GET",
            hangup_url="",
            fallback_url=URL,
            fallback_method="GET",
            hangup_method="GET",
            extras={"a": "", "c": "3"},
        )
    )

    assert (changed.name, changed.answer_url, changed.answer_method) == ("Other", URL, "GET")
    assert (changed.hangup_url, changed.fallback_url) == (None, URL)
    assert (changed.hangup_method, changed.fallback_method) == ("GET", "GET")
    assert changed.extras == {"b": "2", "c": "3"}
    assert await node.control.execute(ListApplications()) == (changed,)


async def test_an_answer_url_takes_the_place_of_a_carried_document(node: World) -> None:
    created = await node.control.execute(application(node, answer_document=document()))

    changed = await node.control.execute(
        UpdateApplication(account_id=node.account.id, application_id=created.id, answer_url=URL)
    )

    assert (changed.answer_url, changed.answer_document) == (URL, None)


@pytest.mark.parametrize(
    "fields", [{"answer_url": ""}, {"answer_url": "no"}, {"answer_method": "PUT"}]
)
async def test_an_update_that_could_not_answer_changes_nothing(
    node: World, fields: dict[str, str]
) -> None:
    created = await node.control.execute(application(node, answer_url=URL))

    with pytest.raises(Invalid):
        await node.control.execute(
            UpdateApplication(account_id=node.account.id, application_id=created.id, **fields)
        )

    assert await node.control.execute(ListApplications()) == (created,)


async def test_a_deleted_application_s_numbers_are_free_and_its_calls_go_on(node: World) -> None:
    await node.room_application("room-*")
    leg = await node.join("MyConf")
    (created,) = await node.control.execute(ListApplications())
    its = {"account_id": node.account.id, "application_id": created.id}

    deleted = await node.control.execute(DeleteApplication(**its))
    node.engine.arrive(called="room-MyConf")
    await node.settled()

    assert deleted.deleted_at_ms == node.clock.at_ms
    assert await node.control.execute(ListApplications()) == ()
    assert node.engine.commands[-1].arguments["status"] == 404
    assert leg in node.engine.legs
    with pytest.raises(ApplicationNotFound):
        await node.control.execute(DeleteApplication(**its))
    with pytest.raises(ApplicationNotFound):
        await node.control.execute(AddNumber(pattern="9", application_id=created.id))
    node.engine.hang_up_from_outside(leg)
    (ended,) = await node.happened(event.CallEnded)
    assert ended.application is not None
    await node.room_application("room-*")


async def test_another_account_s_or_dialect_s_application_is_not_found(node: World) -> None:
    created = await node.control.execute(application(node, answer_url=URL))
    other = (await node.control.execute(CreateAccount(name="Other"))).account.id
    commands: list[type[Command[Any]]] = [GetApplication, UpdateApplication, DeleteApplication]

    for command in commands:
        for fields in (
            {"account_id": other, "application_id": created.id},
            {"account_id": node.account.id, "application_id": created.id, "dialect": COMMANDED},
            {"account_id": node.account.id, "application_id": ApplicationId("1")},
        ):
            with pytest.raises(ApplicationNotFound):
                await node.control.execute(command(**fields))

    assert await node.control.execute(ListApplications()) == (created,)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"answer_url": URL, "answer_document": "[]"},
        {"answer_url": "example.com"},
        {"answer_url": "http:///path"},
        {"answer_url": "http://example.com:port/"},
        {"answer_url": "http://exa mple.com/"},
        {"answer_url": "http://[::1/"},
        {"answer_url": URL, "answer_method": "PUT"},
        {"answer_url": URL, "hangup_url": "no"},
        {"answer_url": URL, "dialect": "unknown"},
        {"answer_document": "{"},
        {"answer_document": document(("no_verb", {}))},
    ],
)
async def test_an_application_that_could_not_answer_is_refused(
    node: World, fields: dict[str, Any]
) -> None:
    with pytest.raises(Invalid):
        await node.control.execute(application(node, **fields))
    assert await node.control.execute(ListApplications()) == ()


async def test_a_document_past_its_bound_is_refused(node: World) -> None:
    with pytest.raises(TooLarge):
        await node.control.execute(application(node, answer_document="é" * 60_000))


async def test_an_application_needs_its_account(node: World) -> None:
    with pytest.raises(AccountNotFound):
        await node.control.execute(
            application(node, account_id=AccountId("MA" + "X" * 18), answer_url=URL)
        )


@pytest.mark.parametrize("pattern", ["room-*", "7*", "*", "+15550100", "Ünï"])
async def test_numbers_lead_to_applications(node: World, pattern: str) -> None:
    created = await node.control.execute(application(node, answer_url=URL))

    number = await node.control.execute(AddNumber(pattern=pattern, application_id=created.id))

    assert number.account_id == node.account.id
    assert await node.control.execute(ListNumbers()) == (number,)


@pytest.mark.parametrize("pattern", ["", "a*b", "**", "a b", "a\n", "a@b", "x" * 129])
async def test_what_no_caller_could_dial_is_refused(node: World, pattern: str) -> None:
    created = await node.control.execute(application(node, answer_url=URL))

    with pytest.raises(Invalid):
        await node.control.execute(AddNumber(pattern=pattern, application_id=created.id))


async def test_a_number_is_unique_on_its_node(node: World) -> None:
    created = await node.control.execute(application(node, answer_url=URL))
    await node.control.execute(AddNumber(pattern="7*", application_id=created.id))

    with pytest.raises(AlreadyExists):
        await node.control.execute(AddNumber(pattern="7*", application_id=created.id))


async def test_a_number_needs_its_application(node: World) -> None:
    with pytest.raises(ApplicationNotFound):
        await node.control.execute(AddNumber(pattern="7", application_id=ApplicationId("1")))
