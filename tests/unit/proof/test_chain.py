"""An account's links in a folder: all there, in order, or named."""

import shutil
from pathlib import Path

import pytest
from tests.unit.proof.made import Made, make

from tapeline.domain.id import EpochMs
from tapeline.domain.manifest import ManifestKind
from tapeline.proof import (
    FindingKind,
    Signer,
    document_of,
    sign_link,
    tombstone_body,
    verify_chain,
    verify_file,
)
from tapeline.proof.manifest import Place

COUNT = 5


@pytest.fixture
def chain(tmp_path: Path) -> list[Made]:
    signer, links = Signer(tmp_path / "keys"), []
    for number in range(1, COUNT + 1):
        after = links[-1].manifest if links else None
        folder = tmp_path / "chain" / f"day-{number}"
        links.append(make(folder, signer=signer, after=after, recording_id=f"rec-{number}"))
    return links


def texts(chain: list[Made]) -> list[str]:
    folder = chain[0].folder.parent
    return [finding.text for finding in verify_chain(folder, chain[0].keys).findings]


def test_a_whole_chain_is_ok_and_its_head_is_named(chain: list[Made]) -> None:
    verdict = verify_chain(chain[0].folder.parent, chain[0].keys)

    assert verdict.is_ok
    assert chain[-1].manifest.sha256 in verdict.notes[0]
    assert f"link {COUNT} is the head" in verdict.notes[0]


@pytest.mark.parametrize(
    ("gone", "says"),
    [([1], "link 1 is missing"), ([3], "link 3 is missing"), ([2, 3], "link 2 to 3 is missing")],
)
def test_missing_links_are_named(chain: list[Made], gone: list[int], says: str) -> None:
    for number in gone:
        chain[number - 1].document.unlink()

    (text,) = texts(chain)
    assert says in text


def test_a_link_from_another_history_does_not_fit(chain: list[Made], tmp_path: Path) -> None:
    signer = chain[0].signer
    stranger = make(
        tmp_path / "other", signer=signer, after=chain[0].manifest, recording_id="rec-9"
    )
    chain[1].document.write_bytes(stranger.document.read_bytes())

    (text,) = texts(chain)
    assert "does not follow the link before" in text
    assert "rec-3" in text


def test_two_links_of_one_number_are_named_and_a_copy_is_not(
    chain: list[Made], tmp_path: Path
) -> None:
    shutil.copy(chain[1].document, chain[1].folder / "copy.manifest.json")
    assert texts(chain) == []

    twin = make(
        tmp_path / "o", signer=chain[0].signer, after=chain[0].manifest, recording_id="rec-9"
    )
    shutil.copy(twin.document, chain[1].folder)
    assert any("two links 2" in text for text in texts(chain))


def test_a_forged_link_is_named_and_leaves_a_hole(chain: list[Made]) -> None:
    chain[2].edit(lambda document: document["manifest"]["recording"].update(node="x"))

    forged, hole = texts(chain)
    assert "forged" in forged
    assert "rec-3.manifest.json" in forged
    assert "link 3 is missing" in hole


def test_an_empty_folder_is_not_ok(chain: list[Made], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    verdict = verify_chain(tmp_path / "empty", chain[0].keys)

    assert [finding.kind for finding in verdict.findings] == [FindingKind.MANIFEST_MISSING]


def test_a_tombstone_is_a_link_and_says_who_deleted_the_recording(chain: list[Made]) -> None:
    last, gone = chain[-1], chain[1]
    body = tombstone_body(
        gone.row, gone.manifest, by="account MA1", because="asked", at_ms=EpochMs(9)
    )
    place = Place(account_id=gone.row.account_id, head=last.manifest, at_ms=EpochMs(9))
    link = sign_link(gone.signer, place, ManifestKind.TOMBSTONE, gone.row.id, body)
    tombstone = gone.folder / "rec-2.tombstone.json"
    tombstone.write_bytes(document_of(link))

    verdict = verify_chain(gone.folder.parent, gone.keys)
    of_file = verify_file(gone.audio, gone.keys, manifest=tombstone)

    assert verdict.is_ok
    assert f"link {COUNT + 1} is the head" in verdict.notes[0]
    (finding,) = of_file.findings
    assert finding.kind is FindingKind.DELETED
    assert "deleted by account MA1 (asked)" in finding.text
