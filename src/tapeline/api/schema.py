"""Wire schemas (pydantic) to the domain's errors and to OpenAPI; no dialect, no HTTP."""

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from tapeline.domain.error import Invalid, InvalidChoice, InvalidUrl, MissingValue, OutOfRange

MAX_URL_LENGTH = 2_048
_SHOWN = 100


class RequestBody(BaseModel):
    """Base of what a request may hold: unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ResponseBody(BaseModel):
    """Base of what is answered: the schema is exact."""

    model_config = ConfigDict(extra="forbid", frozen=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


def read_model(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """Absent, null and empty values are the same. Raises Invalid and its kin for the first fault
    found.
    """
    given = {key: value for key, value in fields.items() if value not in (None, "")}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise _translate(error.errors(include_url=False)[0]) from error


def _translate(fault: ErrorDetails) -> Invalid:
    field = ".".join(str(part) for part in fault["loc"])
    context = fault.get("ctx", {})
    value = _short(fault["input"])
    match fault["type"]:
        case "missing":
            return MissingValue(field)
        case "literal_error" | "enum":
            return InvalidChoice(field=field, value=value, choices=_choices(context["expected"]))
        case "http_url":
            return InvalidUrl(field=field, value=value)
        case "out_of_range":
            return OutOfRange(field=field, value=value, low=context["low"], high=context["high"])
        case _:
            message = fault["msg"].removeprefix("Input should be ")
            return Invalid(field=field, value=value, expected=message[:1].lower() + message[1:])


def _choices(expected: str) -> tuple[str, ...]:
    """From pydantic's `'mp3' or 'wav'`."""
    return tuple(expected.replace("'", "").replace(" or ", ", ").split(", "))


def _short(value: object) -> object:
    text = value if isinstance(value, str) else repr(value)
    if len(text) > _SHOWN:
        return text[:_SHOWN] + "…"
    return value


def is_http_url(text: str) -> bool:
    """Whether it is an absolute http or https URL that can be asked."""
    if len(text) > MAX_URL_LENGTH or any(c <= " " or c == "\x7f" for c in text):
        return False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname)


def _check_url(text: str) -> str:
    if not is_http_url(text):
        raise PydanticCustomError("http_url", "an http or https URL")
    return text


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _upper(value: object) -> object:
    return value.upper() if isinstance(value, str) else value


HttpUrl = Annotated[str, AfterValidator(_check_url)]
"""Kept exactly as given: its fragment may carry a retry rule."""
Lower = BeforeValidator(_lower)
Upper = BeforeValidator(_upper)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Self-contained: definitions stand inside under `$defs`."""
    return model.model_json_schema(ref_template="#/$defs/{model}")
