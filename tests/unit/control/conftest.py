from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.control.support import World, world


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as built:
        yield built
