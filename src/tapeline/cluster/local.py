"""One node that owns everything. Its name is kept in the data folder, so that a restart finds the
calls and recordings that it had open.
"""

import os
import re
from pathlib import Path

from tapeline.domain.id import NodeId, new_uuid

_FILE = "node_id"
_SHAPE = re.compile(r"[0-9a-f-]{36}")


class LocalOwnership:
    """Implements `domain.port.Ownership`."""

    def __init__(self, node_id: NodeId) -> None:
        self._node_id = node_id

    @property
    def node_id(self) -> NodeId:
        return self._node_id

    @classmethod
    def of_folder(cls, data_dir: Path) -> "LocalOwnership":
        """The folder's node, which the first start names. Blocking. Raises OSError; ValueError
        when the file holds something else.
        """
        path = data_dir / _FILE
        try:
            text = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return cls(_write(path))
        if not _SHAPE.fullmatch(text):
            raise ValueError(f"{path} does not hold a node's id; put it back or remove it")
        return cls(NodeId(text))


def _write(path: Path) -> NodeId:
    """Whole or not at all: a half-written id would orphan what the node has open."""
    node_id = NodeId(new_uuid())
    fresh = path.with_suffix(".new")
    with fresh.open("w", encoding="ascii") as file:
        file.write(f"{node_id}\n")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    return node_id
