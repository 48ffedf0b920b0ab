"""The seam: dialects are found by their folder, and nobody else knows their names."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.api.asgi import ask
from tests.unit.api.things import ACCOUNT_ID, TOKEN, MemoryControl, make_app
from tests.unit.api.throwaway import PLAIN, add, dialect_folder

from tapeline.api import dialects
from tapeline.api.dialect import fill, find_dialects
from tapeline.domain.verb import JoinConference

ANSWERS = {name: each.answers for name, each in find_dialects().items() if each.answers is not None}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with dialect_folder(tmp_path) as found:
        yield found


async def test_a_new_dialect_costs_one_folder(folder: Path) -> None:
    add(folder, "plain", PLAIN)
    control = MemoryControl()
    control.open_room("a/b")
    app = make_app(control)
    headers = {"Authorization": f"{ACCOUNT_ID} {TOKEN}"}

    taping = await ask(app, "PUT", "/plain/v3/tape/a%2Fb", headers=headers)
    unheard = await ask(app, "PUT", "/plain/v3/tape/none", headers=headers)
    nobody = await ask(app, "PUT", "/plain/v3/tape/none")
    document = await ask(app, "GET", "/plain/v3/openapi.json")

    assert (taping.status, taping.text) == (201, "taping rec-1")
    assert taping.headers["content-type"] == "text/plain"
    assert (unheard.status, nobody.status) == (404, 418)
    assert "/plain/v3/tape/{room}" in document.json["paths"]
    (started,) = control.recordings.values()
    assert started.starter.dialect == "plain"
    assert set(find_dialects()) >= {"plain", "vobiz"}


@pytest.mark.parametrize(
    ("change", "said"),
    [(("/plain/v3", "/api/v1"), "mounted at"), (('name="plain"', 'name="vobiz"'), "are called")],
)
def test_dialects_must_not_clash(folder: Path, change: tuple[str, str], said: str) -> None:
    add(folder, "plain", PLAIN.replace(*change))

    with pytest.raises(ValueError, match=said):
        find_dialects()


@pytest.mark.parametrize(("rank", "place"), [(1, 0), (1_000, -1)])
def test_the_lowest_rank_comes_first(folder: Path, rank: int, place: int) -> None:
    first = next(iter(find_dialects()))
    add(folder, "plain", PLAIN.replace('name="plain",', f'name="plain", rank={rank},'))

    assert list(find_dialects())[place] == "plain"
    assert first == "vobiz"


def test_no_dialect_knows_another() -> None:
    root = Path(str(dialects.__path__[0]))
    names = [folder.name for folder in root.iterdir() if (folder / "__init__.py").exists()]

    for name in names:
        text = "".join(path.read_text(encoding="utf-8") for path in (root / name).rglob("*.py"))
        others = [other for other in names if other != name and f"dialects.{other}" in text]
        assert others == []


@pytest.mark.parametrize("name", ANSWERS)
def test_a_dialects_default_room_can_be_followed(name: str) -> None:
    answers = ANSWERS[name]

    document = answers.parse(answers.room_document.replace("{{match}}", "blue").encode())

    assert [verb.name for verb in document.verbs if isinstance(verb, JoinConference)] == ["blue"]


@pytest.mark.parametrize("name", find_dialects())
def test_a_dialects_demo_row_is_one_of_its_operations(name: str) -> None:
    found = find_dialects()[name]
    values = {"conference": "MyConf", "auth_id": "MA1", "format": "wav", "callback_url": "http://h"}

    path = fill(found.demo.start_path, values)

    assert path.startswith(found.prefix)
    assert "{" not in path
    assert '"file_format": "wav"' in fill(found.demo.start_body, values) or found.name != "vobiz"
