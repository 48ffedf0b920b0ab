"""The wheel of `make wheel`, in an environment that has nothing else, away from the checkout."""

import os
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tapeline" / "uv" / "bin"
"""Where the set-up puts uv when there is none."""
BUILD_S, INSTALL_S, DEMO_S = 1_500, 300, 90
# With an empty cargo cache the wheel's own profile is built from nothing.
pytestmark = [pytest.mark.alone, pytest.mark.timeout(BUILD_S + INSTALL_S + DEMO_S)]


def run(*words: str | Path, cwd: Path, limit_s: int) -> str:
    """A command's output, in an environment without this one's Python and settings."""
    away = ("PYTHON", "VIRTUAL_ENV", "TAPELINE_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(away)}
    environment["PATH"] += f":{UV}"
    done = subprocess.run(
        words,
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    assert done.returncode == 0, f"{words}: {done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    run("make", "--silent", "wheel", f"WHEELS={folder}", cwd=ROOT, limit_s=BUILD_S)
    (found,) = folder.glob("*.whl")
    return found


def test_it_is_one_abi3_wheel_with_its_licences(wheel: Path) -> None:
    name, version, *tags = wheel.stem.split("-")
    assert (name, version, tags[:2]) == ("tapeline", "0.1.0", ["cp311", "abi3"])
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    assert "tapeline/py.typed" in names
    assert "tapeline/_core.abi3.so" in names
    licences = {path.rpartition("/")[2] for path in names if "/licenses/" in path}
    assert {"LICENSE", "LAME-NOTICE.txt", "LGPL-2.0-LAME.txt"} <= licences
    assert not [path for path in names if path.startswith(("tests/", "core/", "benchmarks/"))]


def test_installed_alone_it_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked.txt"
    run(
        "uv", "export", "--quiet", "--locked", "--no-dev", "--no-emit-project", "--no-hashes",
        "--output-file", locked, cwd=ROOT, limit_s=INSTALL_S,
    )  # fmt: skip
    run("uv", "venv", "--quiet", "venv", cwd=tmp_path, limit_s=INSTALL_S)
    python = tmp_path / "venv" / "bin" / "python"
    run(
        "uv", "pip", "install", "--quiet", "--python", python, "--constraint", locked, wheel,
        cwd=tmp_path, limit_s=INSTALL_S,
    )  # fmt: skip
    where = run(python, "-c", "import tapeline._core as c; print(c.__file__)", cwd=tmp_path,
                limit_s=DEMO_S)  # fmt: skip
    assert Path(where.strip()).is_relative_to(tmp_path)

    tapeline = python.with_name("tapeline")
    told = run(tapeline, "demo", "--seconds", "4", "--format", "mp3", cwd=tmp_path, limit_s=DEMO_S)

    assert told.count("│ ok │") == 3
    assert " off " not in told
