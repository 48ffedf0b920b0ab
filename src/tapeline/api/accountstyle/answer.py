"""Answer documents: bounded XML in, elements with their places out, and readers of attributes.

What an element means is the dialect's table of readers; what they share is here.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from tapeline.api.accountstyle.retry import split_retry
from tapeline.api.schema import is_http_url
from tapeline.domain.error import AnswerInvalid
from tapeline.domain.verb import AnswerDocument, Verb

MAX_BYTES = 100 * 1024
MAX_ELEMENTS = 1_000
MAX_DEPTH = 16
MAX_NAME_LENGTH = 256
_LINE = "\x00line"
"""A key that no XML attribute can have."""


ChildT = TypeVar("ChildT")


@dataclass(slots=True)
class Reading:
    """One document being read; collects what was accepted without effect."""

    ignored: list[str] = field(default_factory=list)


class Node:
    """One element: its attributes are taken one by one, what is left over was ignored."""

    def __init__(self, element: Element, reading: Reading) -> None:
        self.name = element.tag
        self.text = (element.text or "").strip()
        self._element = element
        self.children = [Node(child, reading) for child in element]
        self.place = f"line {element.attrib.pop(_LINE, '?')}, <{element.tag}>"
        self._attributes = dict(element.attrib)
        self._reading = reading

    def take(self, *names: str) -> str | None:
        """The first of the names that is there and not empty; the others count as read too."""
        values = [self._attributes.pop(name, "").strip() for name in names]
        return next((value for value in values if value), None)

    def take_flag(self, name: str, *, default: bool) -> bool:
        """Vendors' own builders write both `true` and `True`."""
        value = self.take(name)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise self.wrong(name, value, "true or false")
        return value.lower() == "true"

    def take_number(self, *names: str, low: int, high: int) -> int | None:
        value = self.take(*names)
        if value is None:
            return None
        digits = value.removesuffix(".0")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):  # noqa: PLR2004
            raise self.wrong(names[0], value, "a whole number")
        if not low <= int(digits) <= high:
            raise self.wrong(names[0], value, f"from {low} to {high}")
        return int(digits)

    def take_word(self, name: str, words: Mapping[str, Any], *, default: Any) -> Any:
        value = self.take(name)
        if value is None:
            return default
        if value.lower() not in words:
            raise self.wrong(name, value, f"one of {', '.join(words)}")
        return words[value.lower()]

    def take_method(self, name: str) -> str:
        method: str = self.take_word(name, {"post": "POST", "get": "GET"}, default="POST")
        return method

    def take_url(self, name: str) -> str | None:
        value = self.take(name)
        return None if value is None else self.check_url(name, value)

    def check_url(self, name: str, value: str) -> str:
        if not is_http_url(split_retry(value)[0]):
            raise self.wrong(name, value, "an http or https URL")
        return value

    def take_children(
        self, readers: "Mapping[str, Callable[[Node], ChildT]]"
    ) -> tuple[ChildT, ...]:
        """Each of the elements inside, of which no other may be there."""
        found = tuple(child.read(readers, inside=self.name) for child in self.children)
        self.children = []
        return found

    def take_spoken(self) -> str:
        """All text inside, without the marks of how it is to be spoken (SSML)."""
        self.children = []
        return _words_in(self._element)

    def read(
        self, readers: "Mapping[str, Callable[[Node], ChildT]]", *, inside: str | None = None
    ) -> ChildT:
        """By its name's reader. Raises AnswerInvalid when it has none."""
        reader = readers.get(self.name)
        if reader is None:
            said = "there is no such element" if inside is None else _misplaced(inside)
            raise AnswerInvalid(said, place=self.place)
        found = reader(self)
        if self.children:
            raise AnswerInvalid(_misplaced(self.name), place=self.children[0].place)
        self.leave()
        return found

    def leave(self) -> None:
        """Whatever was not taken has no effect here."""
        self._reading.ignored.extend(f"{self.name}.{name}" for name in self._attributes)
        self._attributes.clear()

    def wrong(self, name: str, value: str, expected: str) -> AnswerInvalid:
        return AnswerInvalid(f"{name} must be {expected}, not {value[:100]!r}", place=self.place)


Reader = Callable[[Node], Verb]
Readers = Mapping[str, Reader]


def read_answer(document: bytes, readers: Readers) -> AnswerDocument:
    """`readers` are the elements that may stand in `<Response>`. Raises AnswerInvalid."""
    reading = Reading()
    root = Node(parse_xml(document), reading)
    if root.name != "Response":
        raise AnswerInvalid("the document must begin with <Response>", place=root.place)
    verbs = tuple(node.read(readers) for node in root.children)
    root.leave()
    return AnswerDocument(verbs=verbs, ignored=tuple(reading.ignored))


def spoken_text(ssml: str) -> str:
    """What SSML says, without the marks of how. Raises AnswerInvalid for what is no XML."""
    return _words_in(parse_xml(ssml.encode()))


def _words_in(element: Element) -> str:
    return " ".join(" ".join(element.itertext()).split())


def _misplaced(inside: str) -> str:
    return f"it cannot stand inside <{inside}>"


class _LineBuilder(TreeBuilder):
    """Notes each element's line; stops at too many of them, or too deep ones."""

    parser: DefusedXMLParser

    def __init__(self) -> None:
        super().__init__()
        self._count = 0
        self._depth = 0

    def start(self, tag: str, attrs: dict[str, str]) -> Element:
        self._count += 1
        self._depth += 1
        line = str(self.parser.parser.CurrentLineNumber)
        if self._count > MAX_ELEMENTS:
            raise AnswerInvalid(f"more than {MAX_ELEMENTS} elements", place=f"line {line}")
        if self._depth > MAX_DEPTH:
            raise AnswerInvalid(f"more than {MAX_DEPTH} levels", place=f"line {line}")
        return super().start(tag, {**attrs, _LINE: line})

    def end(self, tag: str) -> Element:
        self._depth -= 1
        return super().end(tag)


def parse_xml(document: bytes) -> Element:
    """The root element, each with its line under a private key. Raises AnswerInvalid.

    No document type, no entities but the five of XML, nothing fetched.
    """
    if len(document) > MAX_BYTES:
        raise AnswerInvalid(f"the document is larger than {MAX_BYTES} bytes")
    builder = _LineBuilder()
    parser = DefusedXMLParser(target=builder, forbid_dtd=True)
    builder.parser = parser
    try:
        parser.feed(document)
        root: Element = parser.close()
    except ParseError as error:
        line, column = error.position
        detail = str(error).split(":")[0]
        raise AnswerInvalid(f"no XML: {detail}", place=f"line {line} column {column}") from error
    except DefusedXmlException as error:
        raise AnswerInvalid("document types and entities are refused") from error
    except (ValueError, LookupError) as error:
        raise AnswerInvalid(f"no XML: {error}") from error
    return root
