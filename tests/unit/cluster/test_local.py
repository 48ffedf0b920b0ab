from pathlib import Path

import pytest

from tapeline.cluster import LocalOwnership


def test_a_folder_keeps_its_node(tmp_path: Path) -> None:
    first = LocalOwnership.of_folder(tmp_path)

    assert LocalOwnership.of_folder(tmp_path).node_id == first.node_id


def test_two_folders_are_two_nodes(tmp_path: Path) -> None:
    folders = tmp_path / "a", tmp_path / "b"
    for folder in folders:
        folder.mkdir()

    a, b = (LocalOwnership.of_folder(folder).node_id for folder in folders)

    assert a != b


def test_a_file_that_holds_something_else_is_not_guessed_at(tmp_path: Path) -> None:
    (tmp_path / "node_id").write_text("hello")

    with pytest.raises(ValueError, match="node's id"):
        LocalOwnership.of_folder(tmp_path)
