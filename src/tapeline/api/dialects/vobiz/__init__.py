"""The Vobiz voice API, as its documents and SDKs have it."""

from functools import partial

from tapeline.api.accountstyle.access import check_path_account, header_credentials
from tapeline.api.dialect import Answers, DemoRow, Dialect
from tapeline.api.dialects.vobiz.answer import ROOM_DOCUMENT, parse_answer
from tapeline.api.dialects.vobiz.callbacks import ask, render_event, seal
from tapeline.api.dialects.vobiz.errors import render_error, render_unknown
from tapeline.api.dialects.vobiz.routes import OPERATIONS
from tapeline.api.dialects.vobiz.wire import PROFILE, ErrorBody, UnknownBody
from tapeline.api.schema import json_schema

_ERROR = json_schema(ErrorBody)
_RECORD_PATH = PROFILE.prefix + "/Account/{auth_id}/Conference/{conference}/Record/"

DIALECT = Dialect(
    name=PROFILE.name,
    title=PROFILE.platform,
    prefix=PROFILE.prefix,
    operations=OPERATIONS,
    credentials=partial(
        header_credentials,
        id_header="x-auth-id",
        token_header="x-auth-token",  # noqa: S106
    ),
    check_account=check_path_account,
    render_error=render_error,
    render_unknown=partial(render_unknown, operations=OPERATIONS),
    render_event=render_event,
    seal=seal,
    answers=Answers(ask=ask, parse=parse_answer, room_document=ROOM_DOCUMENT),
    rank=10,
    demo=DemoRow(
        start_method="POST",
        start_path=_RECORD_PATH,
        start_body='{"file_format": "{format}", "callback_url": "{callback_url}"}',
        stop_method="DELETE",
        stop_path=_RECORD_PATH,
        stop_body="",
        headers={
            "X-Auth-ID": "{auth_id}",
            "X-Auth-Token": "{auth_token}",
            "Content-Type": "application/json",
        },
        link_field="url",
    ),
    settings=PROFILE.settings,
    security={
        "AuthID": {"type": "apiKey", "in": "header", "name": "X-Auth-ID"},
        "AuthToken": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    },
    error_responses={
        **dict.fromkeys((400, 401, 403, 409, 500, 503), _ERROR),
        404: {"anyOf": [_ERROR, json_schema(UnknownBody)]},
    },
)
