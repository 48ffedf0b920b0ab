"""One live node a module, with an account's rooms."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests.e2e.site import Site, open_site


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with open_site(tmp_path_factory.mktemp("node")) as opened:
        yield opened
