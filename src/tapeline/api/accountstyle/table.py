"""Rows of a dialect's table of operations."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from tapeline.api.accountstyle.outgoing import FORM, JSON
from tapeline.api.dialect import Operation, WireRequest, WireResponse
from tapeline.api.schema import json_schema
from tapeline.domain.account import Account
from tapeline.domain.command import Command

ACCOUNT = "/Account/{auth_id}"
CALL = ACCOUNT + "/Call/{call_uuid}/"
CONFERENCE = ACCOUNT + "/Conference/{conference_name}/"
MEMBER = CONFERENCE + "Member/{member_id}/"
RECORDING = ACCOUNT + "/Recording/{recording_id}/"
TRANSCRIPTION = ACCOUNT + "/Transcription/{recording_id}/"
APPLICATION = ACCOUNT + "/Application/{app_id}/"

Read = Callable[[WireRequest, Account], Command[Any]]
Write = Callable[[Any, WireRequest, Account], WireResponse]


def row(  # noqa: PLR0913 - a row has these columns
    method: str,
    path: str,
    name: str,
    summary: str,
    *,
    read: Read,
    write: Write,
    answers: tuple[int, *tuple[type[BaseModel], ...]],
    body: type[BaseModel] | None = None,
    query: Mapping[str, Mapping[str, Any]] | None = None,
    text_errors: tuple[int, ...] = (),
) -> Operation:
    """`answers` is the status of success and what its body may be; none: an empty body."""
    status, *models = answers
    return Operation(
        method=method,
        path=path,
        name=name,
        summary=summary,
        read=read,
        write=write,
        request_schema=None if body is None else json_schema(body),
        request_types=(JSON, FORM),
        query={} if query is None else query,
        responses={status: _any_of(models)},
        text_errors=text_errors,
    )


def _any_of(models: Sequence[type[BaseModel]]) -> Mapping[str, Any]:
    schemas = [json_schema(model) for model in models]
    if len(schemas) < 2:  # noqa: PLR2004
        return schemas[0] if schemas else {}
    return {"anyOf": schemas}
