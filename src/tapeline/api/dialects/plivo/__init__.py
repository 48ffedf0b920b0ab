"""The Plivo voice API, as its documents and SDKs have it."""

from tapeline.api.accountstyle.access import basic_credentials, check_path_account
from tapeline.api.dialect import Answers, DemoRow, Dialect
from tapeline.api.dialects.plivo.answer import ROOM_DOCUMENT, parse_answer
from tapeline.api.dialects.plivo.callbacks import ask, render_event, seal
from tapeline.api.dialects.plivo.errors import render_error, render_unknown
from tapeline.api.dialects.plivo.routes import OPERATIONS
from tapeline.api.dialects.plivo.wire import PROFILE, ErrorBody
from tapeline.api.schema import json_schema

_ERROR = json_schema(ErrorBody)
_RECORD_PATH = PROFILE.prefix + "/Account/{auth_id}/Conference/{conference}/Record/"

DIALECT = Dialect(
    name=PROFILE.name,
    title=PROFILE.platform,
    prefix=PROFILE.prefix,
    operations=OPERATIONS,
    credentials=basic_credentials,
    check_account=check_path_account,
    render_error=render_error,
    render_unknown=render_unknown,
    render_event=render_event,
    seal=seal,
    answers=Answers(ask=ask, parse=parse_answer, room_document=ROOM_DOCUMENT),
    demo=DemoRow(
        start_method="POST",
        start_path=_RECORD_PATH,
        start_body='{"file_format": "{format}", "callback_url": "{callback_url}"}',
        stop_method="DELETE",
        stop_path=_RECORD_PATH,
        stop_body="",
        headers={"Authorization": "Basic {basic}", "Content-Type": "application/json"},
        link_field="url",
    ),
    settings=PROFILE.settings,
    security={"Basic": {"type": "http", "scheme": "basic"}},
    error_responses=dict.fromkeys((400, 401, 403, 404, 409, 500, 503), _ERROR),
)
