"""A dialect that a test makes up, and a place to put it."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from tapeline.api import dialects

PLAIN = '''
"""A dialect made up by a test: text in, text out."""

import dataclasses

from tapeline.api.dialect import Answers, DemoRow, Dialect, Operation, WireResponse
from tapeline.domain.account import Credentials
from tapeline.domain.command import ConferenceRef, StartConferenceRecording
from tapeline.domain.error import ConferenceNotFound, Unauthenticated
from tapeline.domain.recording import Starter
from tapeline.domain.verb import AnswerDocument, JoinConference


def credentials(request):
    name, _, token = request.headers.get("authorization", "").partition(" ")
    if not token:
        raise Unauthenticated
    return Credentials(account_id=name, auth_token=token)


def read(request, account):
    starter = Starter(dialect="plain", request_id=request.request_id)
    return StartConferenceRecording(
        conference=ConferenceRef(account_id=account.id, name=request.params["room"]),
        starter=starter,
    )


def say(status, text):
    return WireResponse(status=status, body=text.encode(), content_type="text/plain")


DIALECT = Dialect(
    name="plain",
    title="Plain",
    prefix="/plain/v3",
    operations=(
        Operation(
            method="PUT",
            path="/tape/{room}",
            name="tape",
            summary="Tape a room",
            read=read,
            write=lambda view, request, account: say(201, "taping " + view.recording.id),
            responses={201: {"type": "string"}},
        ),
    ),
    credentials=credentials,
    check_account=lambda request, account: None,
    render_error=lambda error, request: say(
        404 if isinstance(error, ConferenceNotFound) else 418, str(error)
    ),
    render_unknown=lambda request: say(400, "say what?"),
    render_event=lambda event: None,
    seal=lambda *_: None,
    answers=Answers(
        ask=lambda *_: None,
        parse=lambda text: AnswerDocument(verbs=(JoinConference(name=text.decode()),)),
        room_document="{{match}}",
    ),
    demo=DemoRow(
        start_method="PUT",
        start_path="/plain/v3/tape/{conference}",
        start_body="",
        stop_method="",
        stop_path="",
        stop_body="",
        headers={},
        link_field="",
    ),
)
'''


@contextlib.contextmanager
def dialect_folder(folder: Path) -> Iterator[Path]:
    """Dialects are looked for in that folder too, until the end."""
    before = set(sys.modules)
    path = dialects.__path__
    dialects.__path__ = [*path, str(folder)]
    try:
        yield folder
    finally:
        dialects.__path__ = path
        for name in set(sys.modules) - before:
            if name.startswith("tapeline.api.dialects."):
                del sys.modules[name]
                vars(dialects).pop(name.rpartition(".")[2], None)


def add(folder: Path, name: str, source: str) -> None:
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(source, encoding="utf-8")
