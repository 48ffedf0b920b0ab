"""Which blocks of a file are not what they were: damaged, missing, moved, or followed by more.

A file of the right length is compared place by place. In one of another length the blocks after a
cut lie elsewhere: they are looked for at the places where whole missing blocks, or as many bytes as
the length differs by, would have put them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tapeline.proof.tree import Block
from tapeline.proof.verdict import Finding, FindingKind

Hash = Callable[[int, int], str]
"""SHA-256 in hex of the file's bytes from start to end."""
PROBE_LIMIT = 20_000
"""Blocks that are hashed at other places than their own, so that no file takes for ever."""


def find_damage(hash_range: Hash, blocks: Sequence[Block], *, size: int) -> Iterator[Finding]:
    """`blocks` are genuine, the head last; `size` is the file's."""
    *seconds, head = blocks
    if hash_range(head.start, head.end) != head.sha256:
        yield Finding(kind=FindingKind.HEAD_DAMAGED, text="the head of the file is damaged")
    expected = max((block.end for block in blocks), default=0)
    if size == expected:
        yield from _in_place(hash_range, seconds)
    else:
        yield from _Shifted(hash_range, seconds, size).findings()


def _in_place(hash_range: Hash, seconds: Sequence[Block]) -> Iterator[Finding]:
    where: dict[str, list[int]] = {}
    for number, block in enumerate(seconds):
        where.setdefault(block.sha256, []).append(number)
    for number, block in enumerate(seconds):
        found = hash_range(block.start, block.end)
        if found == block.sha256:
            continue
        if found in where:
            yield _moved(number, where[found][0])
        else:
            yield _damaged(number)


@dataclass
class _Shifted:
    """A file of another length; `shift` is how far its bytes lie from where they belong."""

    hash_range: Hash
    seconds: Sequence[Block]
    size: int
    shift: int = 0
    probes: int = PROBE_LIMIT
    found: list[Finding] = field(default_factory=list)

    def findings(self) -> Iterator[Finding]:
        number = 0
        while number < len(self.seconds):
            if self._is_at(number, self.shift):
                number += 1
                continue
            number = self._resume(number)
        yield from self.found
        end = self.seconds[-1].end if self.seconds else 0
        left = self.size - (end + self.shift)
        if left > 0:
            yield Finding(
                kind=FindingKind.APPENDED, text=f"{left} bytes follow the end of the recording"
            )

    def _is_at(self, number: int, shift: int) -> bool:
        block = self.seconds[number]
        start, end = block.start + shift, block.end + shift
        return start >= 0 and end <= self.size and self.hash_range(start, end) == block.sha256

    def _probe(self, number: int, shift: int) -> bool:
        if self.probes <= 0 or number >= len(self.seconds):
            return False
        self.probes -= 1
        return self._is_at(number, shift)

    def _resume(self, number: int) -> int:
        """Says what became of block `number`; returns the next to look for."""
        block, difference = self.seconds[number], self.size - self.seconds[-1].end
        if self._probe(number + 1, self.shift):
            self.found.append(_damaged(number))
            return number + 1
        behind = self._behind_a_cut(number, block.start + self.shift - difference)
        if behind is not None:
            self.shift = difference
            self.found += [_missing(each) for each in range(number, behind)]
            return behind
        if difference != self.shift and self._probe(number, difference):
            self._foreign(number, difference - self.shift)
            return number
        if difference != self.shift and self._probe(number + 1, difference):
            self.shift = difference
            self.found.append(_damaged(number))
            return number + 1
        for later in range(number + 1, len(self.seconds)):
            shift = self.shift - (self.seconds[later].start - block.start)
            if block.start + self.shift >= self.size or self.probes <= 0:
                break
            if self._probe(later, shift):
                self.shift = shift
                self.found += [_missing(each) for each in range(number, later)]
                return later
        return self._lost(number)

    def _behind_a_cut(self, number: int, start: int) -> int | None:
        """The block that begins at `start`, if it follows block `number` and lies in its place."""
        for later in range(number + 1, len(self.seconds)):
            if self.seconds[later].start >= start:
                is_it = self.seconds[later].start == start
                return (
                    later
                    if is_it and self._probe(later, self.size - self.seconds[-1].end)
                    else None
                )
        return None

    def _foreign(self, number: int, count: int) -> None:
        self.shift += count
        self.found.append(
            Finding(
                kind=FindingKind.SECOND_DAMAGED,
                text=f"{count} foreign bytes lie before second {number} ({_clock(number)})"
                if count > 0
                else f"{-count} bytes are missing before second {number} ({_clock(number)})",
                second=number,
            )
        )

    def _lost(self, number: int) -> int:
        """Nothing after it can be placed by itself: damaged where there are bytes, else cut off."""
        block = self.seconds[number]
        if block.end + self.shift <= self.size:
            self.found.append(_damaged(number))
            return number + 1
        last = len(self.seconds) - 1
        self.found.append(
            Finding(
                kind=FindingKind.TRUNCATED,
                text=f"the file ends in second {number} ({_clock(number)}): "
                f"{block.end + self.shift - self.size} bytes of it are missing"
                + (f", and all of seconds {number + 1} to {last}" if last > number else ""),
                second=number,
            )
        )
        self.found += [_missing(each) for each in range(number + 1, last + 1)]
        self.shift = self.size - self.seconds[-1].end
        return len(self.seconds)


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def _damaged(second: int) -> Finding:
    return Finding(
        kind=FindingKind.SECOND_DAMAGED,
        text=f"second {second} ({_clock(second)}) is damaged",
        second=second,
    )


def _missing(second: int) -> Finding:
    return Finding(
        kind=FindingKind.SECOND_MISSING,
        text=f"second {second} ({_clock(second)}) is missing",
        second=second,
    )


def _moved(second: int, other: int) -> Finding:
    return Finding(
        kind=FindingKind.SECOND_MOVED,
        text=f"second {second} ({_clock(second)}) is damaged: what stands there is second {other}",
        second=second,
    )
