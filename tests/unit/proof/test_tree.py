"""The tree's roots against RFC 9162's own definition, and lists that cover no file."""

import hashlib

import pytest

from tapeline.proof import Block, BlocksInvalid, parse_blocks, root_of


def blocks(count: int) -> list[Block]:
    return [Block(start=n, end=n + 1, sha256=f"{n:064x}") for n in range(count)]


def by_recursion(leaves: list[bytes]) -> bytes:
    """RFC 9162 §2.1.1: split at the largest power of two below the count."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = by_recursion(leaves[:split]), by_recursion(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


@pytest.mark.parametrize("count", [*range(1, 18), 100, 1023])
def test_the_root_is_that_of_the_standard_s_recursion(count: int) -> None:
    found = blocks(count)
    leaves = [hashlib.sha256(b"\0" + each.line.encode()).digest() for each in found]

    assert root_of(found) == by_recursion(leaves).hex()


H = "0" * 64


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [f"80 90 {H}"],
        [f"81 90 {H}", f"0 80 {H}"],
        [f"80 90 {H}", f"91 100 {H}", f"0 80 {H}"],
        [f"80 80 {H}", f"80 100 {H}", f"0 80 {H}"],
        [f"80 101 {H}", f"0 80 {H}"],
        [f"080 100 {H}", f"0 80 {H}"],
        [f"80 100 {H[1:]}", f"0 80 {H}"],
        [f"80 100 {H.upper()}x", f"0 80 {H}"],
        [f"80 100 {H}\n", f"0 80 {H}"],
    ],
)
def test_a_list_that_does_not_cover_the_file_is_refused(lines: list[str]) -> None:
    assert len(parse_blocks([f"80 100 {H}", f"0 80 {H}"], byte_count=100)) == 2
    with pytest.raises(BlocksInvalid):
        parse_blocks(lines, byte_count=100)
