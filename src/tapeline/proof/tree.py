"""The hash tree over a file's one-second blocks, as RFC 9162 §2.1 builds its own.

    leaf   SHA-256(0x00 ‖ "first-byte end-byte sha256")      the line of `blocks.sha256`
    node   SHA-256(0x01 ‖ left ‖ right)                      left: the largest power of two

Leaf n is second n; the last is the file's head. docs/reference/journal.md says how blocks are cut.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

_LINE = re.compile(r"(0|[1-9][0-9]{0,18}) ([1-9][0-9]{0,18}) ([0-9a-f]{64})\Z")


class BlocksInvalid(ValueError):
    """Not a list of blocks that covers a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Bytes `start` to `end`, exclusive. The head is the one that starts at 0."""

    start: int
    end: int
    sha256: str

    @property
    def line(self) -> str:
        return f"{self.start} {self.end} {self.sha256}"


def parse_blocks(lines: Sequence[str], *, byte_count: int) -> tuple[Block, ...]:
    """Seconds in order and the head behind them, each byte in one. Raises BlocksInvalid."""
    blocks = tuple(_block(number, line) for number, line in enumerate(lines))
    if not blocks or blocks[-1].start != 0:
        raise BlocksInvalid("the last line is not the head's")
    reached = blocks[-1].end
    for block in blocks[:-1]:
        if block.start != reached or block.end <= block.start:
            raise BlocksInvalid(f"the block at byte {block.start} does not follow byte {reached}")
        reached = block.end
    if reached != byte_count:
        raise BlocksInvalid(f"the blocks end at byte {reached}, the file at {byte_count}")
    return blocks


def _block(number: int, line: str) -> Block:
    found = _LINE.match(line)
    if found is None:
        raise BlocksInvalid(f"line {number + 1} is no block")
    return Block(start=int(found[1]), end=int(found[2]), sha256=found[3])


def root_of(blocks: Sequence[Block]) -> str:
    """In hex. An empty list has none: raises BlocksInvalid."""
    if not blocks:
        raise BlocksInvalid("there is no block")
    return _root([_hash(b"\0" + block.line.encode()) for block in blocks]).hex()


def _root(level: list[bytes]) -> bytes:
    """Pairs from the left, an odd one goes up as it is: the same tree as RFC 9162's recursion."""
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        above = [_hash(b"\1" + left + right) for left, right in pairs]
        level = above + level[len(level) & ~1 :]
    return level[0]


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()
