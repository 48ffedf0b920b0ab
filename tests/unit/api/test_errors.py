"""Each dialect's error table is total, and every error has the shape of its OpenAPI."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tests.unit.api.things import NOW_MS

from tapeline.api.dialect import Dialect, WireRequest, find_dialects
from tapeline.api.dialects.plivo.errors import TABLE as PLIVO_TABLE
from tapeline.api.dialects.vobiz.errors import TABLE as VOBIZ_TABLE
from tapeline.domain import error as errors
from tapeline.domain.error import TapelineError

REQUEST = WireRequest(
    method="GET",
    path="/",
    segments=(),
    params={},
    query=(),
    headers={},
    body=b"",
    request_id="r",
    now_ms=NOW_MS,
)


def tree(root: type[TapelineError] = TapelineError) -> Iterator[type[TapelineError]]:
    yield root
    for kind in root.__subclasses__():
        yield from tree(kind)


SAMPLES = {"str": "field", "int": 7, "object": "value", "tuple[str, ...]": ("one", "two")}


def example(kind: type[TapelineError]) -> TapelineError:
    """Made by its own constructor, whatever that wants to know."""
    if kind.__init__ is Exception.__init__:
        return kind(f"an example of {kind.__name__}")
    placed, keyed = [], {}
    for name, each in list(inspect.signature(kind.__init__).parameters.items())[1:]:
        value = SAMPLES.get(inspect.formatannotation(each.annotation), "anything")
        if each.kind is inspect.Parameter.KEYWORD_ONLY:
            keyed[name] = value
        else:
            placed.append(value)
    return kind(*placed, **keyed)


@pytest.mark.parametrize("dialect", find_dialects().values(), ids=lambda each: each.name)
@pytest.mark.parametrize("kind", list(tree()))
def test_every_error_is_answered(dialect: Dialect, kind: type[TapelineError]) -> None:
    answer = dialect.render_error(example(kind), REQUEST)

    assert 400 <= answer.status < 600
    assert answer.status in dialect.error_responses
    assert json.loads(answer.body)


@pytest.mark.parametrize("table", [PLIVO_TABLE, VOBIZ_TABLE])
@pytest.mark.parametrize("kind", list(TapelineError.__subclasses__()))
def test_each_branch_of_the_tree_has_a_row(
    table: dict[type[TapelineError], Any], kind: type[TapelineError]
) -> None:
    assert kind in table


@pytest.mark.parametrize("dialect", ["plivo", "vobiz"])
@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (errors.Unauthenticated(), 401, "credentials are missing or wrong"),
        (errors.ConferenceNotFound("x"), 404, "conference not found"),
        (errors.NotRecording("conference"), 404, "recording not found"),
        (errors.AlreadyRecording("conference"), 400, "conference is already being recorded"),
        (errors.TooManyRecordings("conference", 32), 400, "32 recordings"),
        (errors.RecordingNotFound("x"), 404, "recording not found"),
        (errors.ParticipantNotFound("x"), 404, "member not found"),
        (errors.CallNotFound("x"), 404, "call not found"),
        (errors.CallHasEnded("x"), 404, "call not found"),
        (errors.CallNotAnswered("x"), 404, "has not been answered"),
        (errors.TranscriptNotFound("x"), 404, "transcription not found"),
        (errors.ApplicationNotFound("x"), 404, "application not found"),
        (errors.MissingValue("a"), 400, "a: a value is required"),
        (errors.TooLarge(10), 400, "larger than 10 bytes"),
        (errors.DiskFull("the disk is full"), 500, "the disk is full"),
        (errors.Draining(), 503, "stopping"),
        (errors.InternalFault("ref-1"), 500, "ref-1"),
    ],
)
def test_the_table(dialect: str, error: TapelineError, status: int, text: str) -> None:
    answer = find_dialects()[dialect].render_error(error, REQUEST)

    assert answer.status == status
    assert text in json.loads(answer.body)["error"]


@pytest.mark.parametrize("name", ["Application", "Call", "Conference", "Recording"])
@pytest.mark.parametrize(
    ("error", "is_text"),
    [
        (errors.Unauthenticated(), True),
        (errors.Forbidden("no"), True),
        (errors.Draining(), True),
        (errors.MissingValue("limit"), False),
    ],
)
def test_a_list_that_fails_is_text_to_one_sdk(
    name: str, error: TapelineError, *, is_text: bool
) -> None:
    """It takes a JSON object for the list; a 400 it reads otherwise."""
    asked = replace(REQUEST, segments=("Account", "MA1", name))

    answer = find_dialects()["plivo"].render_error(error, asked)

    assert answer.content_type.startswith("text/plain") is is_text
    assert str(error) in answer.body.decode()
