"""What requests hold: strict JSON bodies, and the kinds of values that many of them share."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, ConfigDict
from pydantic_core import PydanticCustomError

from tapeline.api.accountstyle.body import read_json
from tapeline.api.dialect import WireRequest
from tapeline.api.dialects.telnyx import words
from tapeline.api.dialects.telnyx.errors import InvalidJson
from tapeline.api.schema import Between, RequestBody, check_model
from tapeline.domain.account import Account
from tapeline.domain.command import Members, Once
from tapeline.domain.error import Invalid, InvalidBody, MissingValue

LONGEST_STATE = 32_768
LONGEST_TEXT = 1_024


class Body(RequestBody):
    """Strict: `"yes"` is no boolean. Unknown keys are ignored (contract §6)."""

    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


BodyT = TypeVar("BodyT", bound=Body)


def read_body(model: type[BodyT], request: WireRequest) -> BodyT:
    """Null is as if absent, and so is a blank where a value is required. Raises Invalid and its
    kin.
    """
    body = request.body.strip()
    try:
        fields: Mapping[str, Any] = read_json(body) if body else {}
    except InvalidBody as error:
        raise InvalidJson(error.expected) from error
    given = {key: value for key, value in fields.items() if value is not None}
    for name, field in model.model_fields.items():
        key = field.alias or name
        if field.is_required() and _is_blank(given.get(key)):
            raise MissingValue(key)
    return check_model(model, given)


def _is_blank(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def check_base64(text: str) -> str:
    """Raises PydanticCustomError."""
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PydanticCustomError("base64", "Base64") from error
    return text


_FORBIDDEN_IN_NAMES = frozenset("/\\")


def _check_file_name(text: str) -> str:
    """A name is never a path (contract §3)."""
    is_plain = all(c.isprintable() and c not in _FORBIDDEN_IN_NAMES for c in text)
    if not is_plain or text.startswith("."):
        raise PydanticCustomError(
            "file_name", "a name without slashes, control characters or a dot at its beginning"
        )
    return text


Text = Annotated[str, Between(1, LONGEST_TEXT)]
CommandId = Annotated[str, Between(0, LONGEST_TEXT)]
"""Empty: none."""
ClientState = Annotated[str, Between(0, LONGEST_STATE), AfterValidator(check_base64)]
FileName = Annotated[str, Between(1, 40), AfterValidator(_check_file_name)]
Region = Literal["Australia", "Europe", "Middle East", "US"]
BeepEnabled = Literal["always", "never", "on_enter", "on_exit"]
CallControlIds = list[Text]


def check_one_of(first: str, one: str | None, second: str, other: str | None) -> None:
    """Raises Invalid when both are given."""
    if one is not None and other is not None:
        raise Invalid(field=second, value=other, expected=f"only one of {first} and {second}")


def read_members(call_control_ids: CallControlIds | None) -> Members:
    """None and an empty list mean all. Raises CallNotFound."""
    return Members(
        call_ids=tuple(words.read_call_control_id(each) for each in call_control_ids or ())
    )


def once(account: Account, scope: str, command_id: str | None) -> Once | None:
    """Whatever the action: one command of that id in that scope (contract §7)."""
    if not command_id:
        return None
    return Once(account_id=account.id, scope=scope, key=command_id)


def state_extras(client_state: str | None) -> dict[str, str]:
    """A state that was given replaces what the leg had, an empty one too."""
    return {} if client_state is None else {words.CLIENT_STATE: client_state}


def pack(value: object) -> str:
    """A value as a text for `extras`."""
    return json.dumps(value, ensure_ascii=False)


def unpack(extras: Mapping[str, str], key: str, default: Any = None) -> Any:
    return json.loads(extras[key]) if key in extras else default
