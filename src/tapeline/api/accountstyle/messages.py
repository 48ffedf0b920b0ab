"""Callbacks: a message made with the event, and the signed request of one attempt."""

from collections.abc import Mapping
from typing import Any

from tapeline.api.accountstyle.outgoing import make_request
from tapeline.api.accountstyle.profile import Profile
from tapeline.api.accountstyle.retry import split_retry
from tapeline.api.accountstyle.signature import make_nonce, signature_headers, v2_message
from tapeline.domain.account import Account
from tapeline.domain.delivery import CallbackMessage, Encoding, OutgoingRequest

DOCUMENTED = "documented"


def make_message(
    profile: Profile,
    account: Account,
    *,
    url: str,
    method: str,
    fields: Mapping[str, object],
    documented: Encoding = Encoding.FORM,
    **more: Any,
) -> CallbackMessage:
    """`documented` is the encoding unless the account chose another; GET has a query always.

    `more` are other fields of the message. The retry rule comes from the URL's fragment.
    """
    bare, retry = split_retry(url)
    choice = profile.chosen(account, "callback_encoding")
    encoding = documented if choice == DOCUMENTED else Encoding(choice)
    return CallbackMessage(
        url=bare,
        method=method,
        encoding=Encoding.QUERY if method == "GET" else encoding,
        fields=fields,
        retry=retry,
        **more,
    )


def nonce_of(
    message: CallbackMessage, fields: Mapping[str, object], token: str, unique: str
) -> str:
    """`unique` tells apart what would else be the same request."""
    return make_nonce(token, unique, message.url, repr(sorted(fields.items())))


def signed_request(  # noqa: PLR0913 - everything that a signed request is made of
    profile: Profile,
    message: CallbackMessage,
    fields: Mapping[str, object],
    token: str,
    *,
    main: str,
    nonce: str,
    v3: str,
) -> OutgoingRequest:
    """`v3` is what signature V3 covers; `main` is how the main account's headers are spelt."""
    headers = signature_headers(
        profile.platform, main, token, nonce=nonce, v2=v2_message(message.url, nonce), v3=v3
    )
    return make_request(
        message.url,
        method=message.method,
        encoding=message.encoding,
        fields=fields,
        headers={"User-Agent": profile.platform, **headers},
    )
