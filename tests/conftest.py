"""What tests of any folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def generated_data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Colours and clips of our own, whatever the machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("SACCADE_DATA", raising=False)
        patch.setenv("SACCADE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
