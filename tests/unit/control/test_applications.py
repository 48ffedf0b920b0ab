from typing import Any

import pytest
from tests.unit.control.support import World, document

from tapeline.domain.command import AddNumber, CreateApplication, ListApplications, ListNumbers
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
