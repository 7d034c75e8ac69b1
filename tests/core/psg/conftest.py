"""What the tests of core.psg share."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.core.psg.edf_files import Signal, edf_bytes

settings.register_profile("busy machine", deadline=None)
settings.load_profile("busy machine")


@pytest.fixture
def write_edf(tmp_path: Path) -> Callable[..., Path]:
    """Write `edf_bytes(...)` to a file and return its path."""

    def write(signals: Sequence[Signal], name: str = "night.edf", **options: Any) -> Path:
        path = tmp_path / name
        path.write_bytes(edf_bytes(signals, **options))
        return path

    return write
