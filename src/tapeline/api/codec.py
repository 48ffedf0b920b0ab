"""Domain values as JSON and back, by their annotations: what the control socket speaks.

A field whose type is one dataclass is an object; where several are possible (a union, a base
class) the object names its own under `"type"`. Bytes are base64, enums their value, tuples and
sets lists. Decoding checks every value against the annotation.
"""

import base64
import binascii
import dataclasses
import functools
import sys
import types
import typing
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, NewType, TypeVar, Union, get_args, get_origin

from tapeline.domain import command as commands
from tapeline.domain.command import Command

ValueT = TypeVar("ValueT")
_SEQUENCES = (tuple, list, Sequence)
_SETS = (frozenset, set)
_MAPPINGS = (dict, Mapping)


class CodecError(Exception):
    """A value does not fit; `place` is where, like `fields.starter.dialect`."""

    def __init__(self, place: str, detail: str) -> None:
        self.place = place
        super().__init__(f"{place}: {detail}" if place else detail)


def encode(value: object) -> Any:
    """Raises TypeError for what has no JSON form."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        body = {name: encode(getattr(value, name)) for name in names}
        return {"type": type(value).__name__, **body}
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [encode(item) for item in value]
    if isinstance(value, (frozenset, set)):
        return sorted(encode(item) for item in value)
    return _encode_plain(value)


def _encode_plain(value: object) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TypeError(f"{type(value).__name__} has no JSON form")


def decode(kind: Any, value: Any, place: str = "") -> Any:
    """A value of that annotation. Raises CodecError."""
    while isinstance(kind, NewType):
        kind = kind.__supertype__
    origin = get_origin(kind)
    if kind is Any or kind is object:
        return value
    if origin in (Union, types.UnionType):
        return _decode_union(get_args(kind), value, place)
    if origin in _SEQUENCES or origin in _SETS:
        return _decode_items(kind, value, place)
    if origin in _MAPPINGS:
        _expect(isinstance(value, dict), "an object", value, place)
        of = get_args(kind)[1]
        return {key: decode(of, item, f"{place}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(typing.cast("type[Any]", kind), value, place)
    return _decode_plain(kind, value, place)


def _expect(holds: bool, expected: str, value: object, place: str) -> None:  # noqa: FBT001
    if not holds:
        raise CodecError(place, f"expected {expected}, not {type(value).__name__}")


def _decode_union(kinds: tuple[Any, ...], value: Any, place: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    if isinstance(value, dict) and "type" in value:
        named = [kind for kind in rest if getattr(kind, "__name__", "") == value["type"]]
        rest = named or rest
    faults = []
    for kind in rest:
        try:
            return decode(kind, value, place)
        except CodecError as error:
            faults.append(error)
    raise faults[0]


def _decode_items(kind: Any, value: Any, place: str) -> Any:
    _expect(isinstance(value, list), "a list", value, place)
    origin, of = get_origin(kind), get_args(kind)
    if origin is tuple and of[-1] is not Ellipsis:
        _expect(len(of) == len(value), f"{len(of)} items", value, place)
        pairs = zip(of, value, strict=True)
        return tuple(decode(each, item, f"{place}[]") for each, item in pairs)
    items = [decode(of[0], item, f"{place}[{index}]") for index, item in enumerate(value)]
    if origin in _SETS:
        return frozenset(items)
    return items if origin is list else tuple(items)


def _decode_dataclass(kind: type[Any], value: Any, place: str) -> Any:
    _expect(isinstance(value, dict), "an object", value, place)
    name = value.get("type", kind.__name__)
    found: Any = kind if name == kind.__name__ else _subclass(kind, name)
    if found is None:
        raise CodecError(place, f"{name!r} is no {kind.__name__}")
    hints = _hints(found)
    given = {key: item for key, item in value.items() if key != "type"}
    for key in given:
        if key not in hints:
            raise CodecError(f"{place}.{key}".lstrip("."), f"{found.__name__} has no such field")
    fields = {
        key: decode(hints[key], item, f"{place}.{key}".lstrip(".")) for key, item in given.items()
    }
    try:
        return found(**fields)
    except TypeError as error:
        raise CodecError(place, str(error)) from error


def _subclass(kind: type[Any], name: object) -> type[Any] | None:
    pending = list(kind.__subclasses__())
    while pending:
        found = pending.pop()
        if found.__name__ == name:
            return found
        pending.extend(found.__subclasses__())
    return None


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _decode_plain(kind: Any, value: Any, place: str) -> Any:
    if kind is bytes:
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise CodecError(place, "expected base64") from error
    if isinstance(kind, type) and issubclass(kind, Enum):
        try:
            return kind(value)
        except ValueError as error:
            raise CodecError(place, f"{value!r} is no {kind.__name__}") from error
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is int and isinstance(value, bool):
        raise CodecError(place, "expected int, not bool")
    _expect(isinstance(value, kind), kind.__name__, value, place)
    return value


# commands and their outcomes


@functools.cache
def command_kinds() -> Mapping[str, type[Command[Any]]]:
    """Every command of the domain by its name."""
    return {
        name: kind
        for name, kind in vars(commands).items()
        if isinstance(kind, type) and issubclass(kind, Command) and kind is not Command
    }


@functools.cache
def outcome_kind(kind: Any) -> Any:
    """The annotation of what a command is answered with."""
    for base in kind.__orig_bases__:
        if get_origin(base) is Command:
            (outcome,) = get_args(base)
            if isinstance(outcome, typing.ForwardRef):
                names = vars(sys.modules[kind.__module__])
                return eval(outcome.__forward_code__, names)  # noqa: S307 - our own source
            return outcome
    raise TypeError(f"{kind.__name__} does not say its outcome")


def decode_command(body: Any) -> Command[Any]:
    """`{"type": …, "fields": {…}}`. Raises CodecError."""
    _expect(isinstance(body, dict), "an object", body, "")
    kind = command_kinds().get(str(body.get("type")))
    if kind is None:
        raise CodecError("type", f"{body.get('type')!r} is no command")
    command: Command[Any] = _decode_dataclass(kind, body.get("fields", {}), "fields")
    return command


def encode_command(command: Command[Any]) -> dict[str, Any]:
    fields = encode(command)
    return {"type": fields.pop("type"), "fields": fields}
