"""Rules about the source itself."""

from pathlib import Path

from tapeline.api.dialect import find_dialects

SOURCE = Path(__file__).parents[2] / "src" / "tapeline"
CORE = Path(__file__).parents[2] / "core"
VENDORS = {"vobiz", "plivo", "telnyx"}


def test_no_file_outside_a_dialect_names_a_vendor() -> None:
    names = VENDORS | {name for name in find_dialects() if name != "native"}
    may = (SOURCE / "api" / "dialects", SOURCE / "compat")
    files = [*SOURCE.rglob("*.py"), *SOURCE.rglob("*.pyi"), *CORE.rglob("*.rs")]

    found = [
        f"{path}: {name}"
        for path in files
        if not any(path.is_relative_to(folder) for folder in may)
        for name in names
        if name in path.read_text(encoding="utf-8").lower()
    ]

    assert found == []
