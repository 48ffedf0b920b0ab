"""Every dialect's OpenAPI document, walked by Schemathesis against a live node with a call on it:
nothing is answered by a 5xx, and nothing that the document does not say.
"""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.e2e.site import Site

from tapeline.api.dialect import Dialect, fill, find_dialects
from tapeline.api.openapi import describe

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
EXAMPLES = 12
ROOM = "Walked"
OPERATIONS = [
    pytest.param(dialect, api_operation.ok(), id=f"{name}-{api_operation.ok().label}")
    for name, dialect in find_dialects().items()
    for api_operation in schemathesis.openapi.from_dict(describe(dialect)).get_all_operations()
]


@pytest_asyncio.fixture(loop_scope="module")
async def occupied(site: Site) -> AsyncIterator[Site]:
    """A call sits in the room, whatever an operation before this one did to it."""
    call = await site.sit(ROOM)
    yield site
    if not call.is_over:
        await call.hang_up()


def credentials(site: Site, dialect: Dialect) -> dict[str, str]:
    account = site.account
    pair = f"{account.auth_id}:{account.auth_token}".encode()
    values = {
        "auth_id": account.auth_id,
        "auth_token": account.auth_token,
        "api_key": account.api_key,
        "basic": base64.b64encode(pair).decode(),
    }
    return {name: fill(value, values) for name, value in dialect.demo.headers.items()}


def known(site: Site) -> dict[str, str]:
    """Half of the cases name things that are there: past them lie the answers worth a look."""
    return {
        "auth_id": site.account.auth_id,
        "conference_name": ROOM,
        "conference_id": ROOM,
    }


def addressable(value: Any) -> Any:
    """A segment of dots alone is taken out by the client: it would ask for another path."""
    return "dots" if isinstance(value, str) and not value.strip(".") else value


@pytest.mark.parametrize(("dialect", "operation"), OPERATIONS)
def test_an_operation_keeps_to_its_document(
    occupied: Site, dialect: Dialect, operation: Any
) -> None:
    headers, there = credentials(occupied, dialect), known(occupied)
    seen: list[int] = []

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @schemathesis_given(operation)
    def walk(case: Any) -> None:
        names = set(there) if len(seen) % 2 else {"auth_id"}
        case.path_parameters = {
            name: there[name] if name in names & set(there) else addressable(value)
            for name, value in (case.path_parameters or {}).items()
        }
        response = case.call(base_url=occupied.node.http_url, headers=headers, timeout=10)
        seen.append(response.status_code)
        case.validate_response(response, checks=CHECKS)

    walk()

    assert len(seen) >= 1
    assert not occupied.node.faults()


def schemathesis_given(operation: Any) -> Any:
    from hypothesis import given

    return given(case=operation.as_strategy())
