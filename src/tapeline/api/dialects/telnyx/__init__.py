"""The Telnyx Call Control API, version 2, as its documents and SDKs have it."""

from tapeline.api.dialect import DemoRow, Dialect, WireRequest
from tapeline.api.dialects.telnyx.answer import ANSWERS
from tapeline.api.dialects.telnyx.callbacks import render_event, seal
from tapeline.api.dialects.telnyx.errors import render_error, render_unknown
from tapeline.api.dialects.telnyx.routes import OPERATIONS
from tapeline.api.dialects.telnyx.wire.answer import Errors
from tapeline.api.dialects.telnyx.words import NAME
from tapeline.api.schema import json_schema
from tapeline.domain.account import Account, Credentials
from tapeline.domain.error import Unauthenticated

_ACTIONS = "/v2/conferences/{conference}/actions"


def bearer_credentials(request: WireRequest) -> Credentials:
    """Raises Unauthenticated."""
    scheme, _, api_key = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not api_key.strip():
        raise Unauthenticated
    return Credentials(api_key=api_key.strip())


def check_account(_request: WireRequest, _account: Account) -> None:
    """No path names an account."""


DIALECT = Dialect(
    name=NAME,
    title="Telnyx",
    prefix="/v2",
    operations=OPERATIONS,
    credentials=bearer_credentials,
    check_account=check_account,
    render_error=render_error,
    render_unknown=render_unknown,
    render_event=render_event,
    seal=seal,
    answers=ANSWERS,
    demo=DemoRow(
        start_method="POST",
        start_path=_ACTIONS + "/record_start",
        start_body='{"format": "{format}", "channels": "single"}',
        stop_method="POST",
        stop_path=_ACTIONS + "/record_stop",
        stop_body="{}",
        headers={"Authorization": "Bearer {api_key}", "Content-Type": "application/json"},
        link_field="recording_url",
    ),
    security={"bearerAuth": {"type": "http", "scheme": "bearer"}},
    error_responses=dict.fromkeys((400, 401, 403, 404, 422, 500, 503), json_schema(Errors)),
)
