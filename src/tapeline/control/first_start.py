"""What a node without any account makes for itself, so that a phone can be in a room at once."""

from tapeline.control.control import Control
from tapeline.domain.command import (
    AccountCreated,
    AddNumber,
    CreateAccount,
    CreateApplication,
    ListAccounts,
)
from tapeline.telemetry import get_logger

_log = get_logger(__name__)

ACCOUNT_NAME = "default"
ROOM_PATTERN = "room-*"
"""A call to `room-NAME` joins conference NAME."""


async def make_ready_room(
    control: Control, *, dialect: str, room_document: str
) -> AccountCreated | None:
    """The first account with its secrets, or None when there is an account already."""
    if await control.execute(ListAccounts()):
        return None
    created = await control.execute(CreateAccount(name=ACCOUNT_NAME))
    application = await control.execute(
        CreateApplication(
            account_id=created.account.id,
            dialect=dialect,
            name="ready room",
            answer_document=room_document,
        )
    )
    await control.execute(AddNumber(pattern=ROOM_PATTERN, application_id=application.id))
    _log.info("first_account_made", account=created.account.id, number=ROOM_PATTERN)
    return created
