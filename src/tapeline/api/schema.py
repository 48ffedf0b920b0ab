"""Wire schemas (pydantic) to the domain's errors and to OpenAPI; no dialect, no HTTP."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic_core import ErrorDetails, PydanticCustomError, core_schema

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
    return check_model(
        model, {key: value for key, value in fields.items() if value not in (None, "")}
    )


def check_model(model: type[ModelT], fields: Mapping[str, Any]) -> ModelT:
    """As read_model, with the fields just as they came."""
    try:
        return model.model_validate(fields)
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


@dataclass(frozen=True, slots=True)
class Between:
    """Annotation of an int or a text: the value, or the text's length, is in this range."""

    low: int
    high: int

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        found = handler(schema)
        is_text = found.get("type") == "string"
        low, high = ("minLength", "maxLength") if is_text else ("minimum", "maximum")
        return {**found, low: self.low, high: self.high}

    def _check(self, value: int | str) -> int | str:
        size = len(value) if isinstance(value, str) else value
        if not self.low <= size <= self.high:
            context = {"low": self.low, "high": self.high}
            raise PydanticCustomError("out_of_range", "from {low} to {high}", context)
        return value


HttpUrl = Annotated[str, AfterValidator(_check_url)]
"""Kept exactly as given: its fragment may carry a retry rule."""
Lower = BeforeValidator(_lower)
Upper = BeforeValidator(_upper)


def json_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Self-contained: definitions stand inside under `$defs`."""
    return model.model_json_schema(ref_template="#/$defs/{model}")
