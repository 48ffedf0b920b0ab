"""Who may use an account-style path: its `{auth_id}` must be the account of the credentials."""

import base64
import binascii
from collections.abc import Sequence

from tapeline.api.dialect import Operation, WireRequest
from tapeline.api.rawpath import Template
from tapeline.domain.account import Account, Credentials
from tapeline.domain.error import Unauthenticated


def header_credentials(request: WireRequest, *, id_header: str, token_header: str) -> Credentials:
    """Both headers (lower-case names) are needed. Raises Unauthenticated."""
    account_id = request.headers.get(id_header, "")
    token = request.headers.get(token_header, "")
    if not (account_id and token):
        raise Unauthenticated(f"both {id_header} and {token_header} headers are needed")
    return Credentials(account_id=account_id, auth_token=token)


def basic_credentials(request: WireRequest) -> Credentials:
    """HTTP Basic of account id and token. Raises Unauthenticated."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        raise Unauthenticated
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise Unauthenticated("the Basic credentials cannot be read") from error
    account_id, _, token = text.partition(":")
    if not (account_id and token):
        raise Unauthenticated
    return Credentials(account_id=account_id, auth_token=token)


def check_path_account(request: WireRequest, account: Account) -> None:
    """Raises Unauthenticated when the path names another account."""
    if request.params.get("auth_id", account.id) != account.id:
        raise Unauthenticated("the path names another account than the credentials")


def is_wrong_case(request: WireRequest, operations: Sequence[Operation]) -> bool:
    """Whether only letter case keeps the path from being an operation's (`/account/` …)."""
    templates = [Template.parse(operation.path) for operation in operations]
    return any(
        template.is_case_variant(request.segments) and template.match(request.segments) is None
        for template in templates
    )
