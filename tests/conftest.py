"""What holds for every test: its folder, its skips, and that it leaves no unexpected exception."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tapeline.telemetry.bugs import Bugs

TESTS = Path(__file__).parent
KINDS = {"unit", "contract", "sdk", "e2e", "fuzz", "golden"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        kind = item.path.relative_to(TESTS).parts[0]
        if kind not in KINDS:
            raise pytest.UsageError(f"{item.nodeid}: tests live in {', '.join(sorted(KINDS))}")


def _allowed_skips() -> list[str]:
    lines = (TESTS / "allowed_skips.txt").read_text(encoding="utf-8").splitlines()
    return [line.split(maxsplit=1)[0] for line in lines if line.strip() and line[0] != "#"]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Iterator[pytest.TestReport]:
    report = yield
    skipped = report.skipped and not hasattr(report, "wasxfail")
    if skipped and os.environ.get("CI") and not any(p in item.nodeid for p in _allowed_skips()):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and tests/allowed_skips.txt does not list it"
    return report


@pytest.fixture(autouse=True)
def no_bug_is_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An unexpected exception anywhere in our code fails the test during which it was counted."""
    seen: list[str] = []
    count = Bugs.add

    def add(self: Bugs, where: str, error: BaseException) -> None:
        seen.append(f"{where}: {error!r}")
        count(self, where, error)

    monkeypatch.setattr(Bugs, "add", add)
    yield
    assert not seen, f"unexpected exceptions: {seen}"
