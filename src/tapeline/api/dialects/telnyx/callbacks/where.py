"""Where an event goes, and when it is tried again (contract §5)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tapeline.api.dialects.telnyx import words
from tapeline.domain.account import Account
from tapeline.domain.application import Application
from tapeline.domain.call import Call
from tapeline.domain.delivery import Failure, RetryPolicy

TIMEOUT_MS = 2_000
WAITS_MS = (1_000, 2_000, 4_000, 8_000, 16_000)
TOTAL_MS = 600_000
"""More than all attempts and waits can take: the count of waits is what ends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Where:
    url: str
    failover_url: str | None
    retry: RetryPolicy


def where(
    event_type: str, account: Account, call: Call | None, application: Application | None
) -> Where | None:
    """What the call's own command said, else its application, else the account; None: nowhere.

    `call` is the one that the event belongs to, of a conference its creator. What other dialects
    made is told to the account.
    """
    if application is not None and application.dialect != words.NAME:
        application = None
    extras: Mapping[str, str] = {}
    if call is not None and call.dialect == words.NAME:
        extras = call.extras
    urls = _urls(event_type, extras, application, account)
    if urls is None:
        return None
    return Where(url=urls[0], failover_url=urls[1], retry=_retry(event_type, extras, application))


def _urls(
    event_type: str,
    extras: Mapping[str, str],
    application: Application | None,
    account: Account,
) -> tuple[str, str | None] | None:
    failover_url = None if application is None else application.fallback_url
    named = _unpack(extras, words.WEBHOOK_URLS, {}).get(event_type)
    if named:
        return named[0], named[1] if len(named) > 1 else failover_url
    if words.WEBHOOK_URL in extras:
        return extras[words.WEBHOOK_URL], failover_url
    if application is not None and application.answer_url:
        return application.answer_url, failover_url
    settings = account.settings
    if settings.webhook_url is None:
        return None
    return settings.webhook_url, settings.webhook_failover_url


def _retry(
    event_type: str, extras: Mapping[str, str], application: Application | None
) -> RetryPolicy:
    waits_ms = _unpack(extras, words.WEBHOOK_RETRIES, {}).get(event_type)
    of_application = {} if application is None else application.extras
    timeout_s = _unpack(of_application, words.WEBHOOK_TIMEOUT, None)
    timeout_ms = timeout_s * 1_000 if timeout_s else TIMEOUT_MS
    return RetryPolicy(
        connect_timeout_ms=min(timeout_ms, TIMEOUT_MS),
        read_timeout_ms=timeout_ms,
        total_ms=TOTAL_MS,
        waits_ms=WAITS_MS if waits_ms is None else tuple(waits_ms),
        retry_on=frozenset(Failure),
    )


def _unpack(extras: Mapping[str, str], key: str, default: Any) -> Any:
    return json.loads(extras[key]) if key in extras else default
