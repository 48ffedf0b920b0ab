"""Use cases about applications and the numbers that lead to them."""

from dataclasses import replace

from tapeline.control.checks import check_method, check_url
from tapeline.control.parts import DialectRules, Parts
from tapeline.domain.application import Application, Number
from tapeline.domain.command import (
    AddNumber,
    CreateApplication,
    DeleteApplication,
    GetApplication,
    ListApplications,
    ListNumbers,
    UpdateApplication,
)
from tapeline.domain.error import (
    AccountNotFound,
    ApplicationNotFound,
    Invalid,
    InvalidChoice,
    TooLarge,
)
from tapeline.domain.id import AccountId, ApplicationId, new_application_id
from tapeline.domain.port import Transaction

DOCUMENT_LIMIT_BYTES = 100_000
"""What an answer document may hold, fetched or carried (contract §6)."""
_LONGEST_PATTERN = 128


async def create_application(parts: Parts, command: CreateApplication) -> Application:
    application = Application(
        id=new_application_id(),
        account_id=command.account_id,
        dialect=command.dialect,
        name=command.name,
        answer_url=command.answer_url,
        answer_method=command.answer_method,
        answer_document=command.answer_document,
        fallback_url=command.fallback_url,
        fallback_method=command.fallback_method,
        hangup_url=command.hangup_url,
        hangup_method=command.hangup_method,
        extras=command.extras,
        created_at_ms=parts.clock.now_ms(),
    )
    check_application(parts, application)

    def work(tx: Transaction) -> None:
        if tx.accounts.get(command.account_id) is None:
            raise AccountNotFound(command.account_id)
        tx.applications.add(application)

    await parts.store.write(work)
    return application


def check_application(parts: Parts, application: Application) -> None:
    """Raises Invalid for what no call could be steered by."""
    rules = parts.dialects.get(application.dialect)
    if rules is None:
        raise InvalidChoice(
            field="dialect", value=application.dialect, choices=tuple(parts.dialects)
        )
    # Made for one call that commands steer, it may have no URL: its account has one.
    needs_none = application.is_ad_hoc and rules.parse_answer is None
    has_url, has_document = application.answer_url is not None, bool(application.answer_document)
    if has_url == has_document and (has_url or not needs_none):
        raise Invalid(
            field="answer_url",
            value=application.answer_url,
            expected="exactly one of answer_url and answer_document",
        )
    for name in ("answer", "fallback", "hangup", "ring"):
        check_url(f"{name}_url", getattr(application, f"{name}_url"))
        check_method(f"{name}_method", getattr(application, f"{name}_method"))
    if application.answer_document is not None:
        _check_document(rules, application.dialect, application.answer_document)


def _check_document(rules: DialectRules, dialect: str, document: str) -> None:
    body = document.encode()
    if len(body) > DOCUMENT_LIMIT_BYTES:
        raise TooLarge(DOCUMENT_LIMIT_BYTES)
    if rules.parse_answer is None:
        raise Invalid(
            field="answer_document",
            value=document,
            expected=f"an answer_url: {dialect} has no answer documents",
        )
    rules.parse_answer(body)


async def update_application(parts: Parts, command: UpdateApplication) -> Application:
    def work(tx: Transaction) -> Application:
        application = own_application(
            tx, command.account_id, command.application_id, command.dialect
        )
        changed = _changed(application, command)
        check_application(parts, changed)
        tx.applications.update(changed)
        return changed

    return await parts.store.write(work)


def _changed(application: Application, command: UpdateApplication) -> Application:
    """An answer URL takes the place of a carried document."""
    extras = {**application.extras, **command.extras}
    return replace(
        application,
        name=application.name if command.name is None else command.name,
        answer_url=_new(application.answer_url, command.answer_url),
        answer_document=None if command.answer_url else application.answer_document,
        answer_method=command.answer_method or application.answer_method,
        fallback_url=_new(application.fallback_url, command.fallback_url),
        fallback_method=command.fallback_method or application.fallback_method,
        hangup_url=_new(application.hangup_url, command.hangup_url),
        hangup_method=command.hangup_method or application.hangup_method,
        extras={key: value for key, value in extras.items() if value},
    )


def _new(was: str | None, wanted: str | None) -> str | None:
    """None leaves it; an empty text removes it."""
    return was if wanted is None else wanted or None


async def get_application(parts: Parts, command: GetApplication) -> Application:
    return await parts.store.read(
        lambda tx: own_application(tx, command.account_id, command.application_id, command.dialect)
    )


async def delete_application(parts: Parts, command: DeleteApplication) -> Application:
    now_ms = parts.clock.now_ms()

    def work(tx: Transaction) -> Application:
        application = own_application(
            tx, command.account_id, command.application_id, command.dialect
        )
        deleted = replace(application, deleted_at_ms=now_ms)
        tx.applications.update(deleted)
        tx.numbers.remove_of(application.id)
        return deleted

    return await parts.store.write(work)


def own_application(
    tx: Transaction, account_id: AccountId, application_id: str, dialect: str | None
) -> Application:
    """Another account's, another dialect's, deleted ones and those made for one call are not
    found: raises ApplicationNotFound.
    """
    found = tx.applications.get(ApplicationId(application_id))
    if (
        found is None
        or found.account_id != account_id
        or dialect not in {None, found.dialect}
        or found.is_ad_hoc
        or found.deleted_at_ms is not None
    ):
        raise ApplicationNotFound(application_id)
    return found


async def list_applications(parts: Parts, command: ListApplications) -> tuple[Application, ...]:
    found = await parts.store.read(lambda tx: tx.applications.all(command.account_id))
    return tuple(each for each in found if command.dialect in {None, each.dialect})


async def add_number(parts: Parts, command: AddNumber) -> Number:
    check_pattern(command.pattern)

    def work(tx: Transaction) -> Number:
        application = tx.applications.get(command.application_id)
        if application is None or application.deleted_at_ms is not None:
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
