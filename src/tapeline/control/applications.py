"""Use cases about applications and the numbers that lead to them."""

from tapeline.control.checks import check_method, check_url
from tapeline.control.parts import Parts
from tapeline.domain.application import Application, Number
from tapeline.domain.command import (
    AddNumber,
    CreateApplication,
    ListApplications,
    ListNumbers,
)
from tapeline.domain.error import (
    AccountNotFound,
    ApplicationNotFound,
    Invalid,
    InvalidChoice,
    TooLarge,
)
from tapeline.domain.id import new_application_id
from tapeline.domain.port import Transaction

DOCUMENT_LIMIT_BYTES = 100_000
"""What an answer document may hold, fetched or carried (contract §6)."""
_LONGEST_PATTERN = 128


async def create_application(parts: Parts, command: CreateApplication) -> Application:
    _check_application(parts, command)
    application = Application(
        id=new_application_id(),
        account_id=command.account_id,
        dialect=command.dialect,
        name=command.name,
        answer_url=command.answer_url,
        answer_method=command.answer_method,
        answer_document=command.answer_document,
        hangup_url=command.hangup_url,
        created_at_ms=parts.clock.now_ms(),
    )

    def work(tx: Transaction) -> None:
        if tx.accounts.get(command.account_id) is None:
            raise AccountNotFound(command.account_id)
        tx.applications.add(application)

    await parts.store.write(work)
    return application


def _check_application(parts: Parts, command: CreateApplication) -> None:
    rules = parts.dialects.get(command.dialect)
    if rules is None:
        raise InvalidChoice(field="dialect", value=command.dialect, choices=tuple(parts.dialects))
    if (command.answer_url is None) == (command.answer_document is None):
        raise Invalid(
            field="answer_url",
            value=command.answer_url,
            expected="exactly one of answer_url and answer_document",
        )
    check_url("answer_url", command.answer_url)
    check_url("hangup_url", command.hangup_url)
    check_method("answer_method", command.answer_method)
    if command.answer_document is not None:
        body = command.answer_document.encode()
        if len(body) > DOCUMENT_LIMIT_BYTES:
            raise TooLarge(DOCUMENT_LIMIT_BYTES)
        if rules.parse_answer is None:
            raise Invalid(
                field="answer_document",
                value=command.answer_document,
                expected=f"an answer_url: {command.dialect} has no answer documents",
            )
        rules.parse_answer(body)


async def list_applications(parts: Parts, command: ListApplications) -> tuple[Application, ...]:
    return tuple(await parts.store.read(lambda tx: tx.applications.all(command.account_id)))


async def add_number(parts: Parts, command: AddNumber) -> Number:
    check_pattern(command.pattern)

    def work(tx: Transaction) -> Number:
        application = tx.applications.get(command.application_id)
        if application is None:
            raise ApplicationNotFound(command.application_id)
        number = Number(
            pattern=command.pattern,
            account_id=application.account_id,
            application_id=application.id,
            created_at_ms=parts.clock.now_ms(),
        )
        tx.numbers.add(number)
        return number

    return await parts.store.write(work)


def check_pattern(pattern: str) -> None:
    """A SIP user part, or its beginning and a `*` at the very end."""
    is_good = (
        0 < len(pattern) <= _LONGEST_PATTERN
        and "*" not in pattern[:-1]
        and all(c.isprintable() and not c.isspace() and c not in "@<>" for c in pattern)
    )
    if not is_good:
        raise Invalid(
            field="number",
            value=pattern,
            expected="a number or name without blanks; a * may stand at the end",
        )


async def list_numbers(parts: Parts, command: ListNumbers) -> tuple[Number, ...]:
    return tuple(await parts.store.read(lambda tx: tx.numbers.all(command.account_id)))
