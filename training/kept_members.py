"""Members of a network that a killed run has finished: kept in the run's folder until all are."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from training.checkpoint import read_weights, write_weights
from training.course import Member

FOLDER = ".members"


class KeptMembers:
    """What is finished of one part of a night run.

    Parameters
    ----------
    run
        The run's folder.
    part
        Name of the part.
    settled
        All that fixes the result, as JSON has it: hashes of the data, options. Members of another run are not taken.
    """

    def __init__(self, run: Path, part: str, settled: Mapping[str, Any]) -> None:
        digest = hashlib.sha256(json.dumps(settled, sort_keys=True, default=str).encode()).hexdigest()
        self._folder = run / FOLDER
        self._name = f"{part}-{digest[:16]}"

    def take(self, index: int, member: Member) -> bool:
        """Load a finished member, in evaluation mode; False where it is not finished."""
        path = self._path(index)
        if not path.is_file():
            return False
        member.load_state_dict(read_weights(path))
        member.eval()
        return True

    def keep(self, index: int, member: Member) -> None:
        """Keep a finished member.

        Raises
        ------
        SleepcliError
            The disk is full, or the folder cannot be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        write_weights(self._path(index), member.state_dict())

    def _path(self, index: int) -> Path:
        return self._folder / f"{self._name}-{index}.safetensors"


def forget_members(run: Path) -> None:
    """Remove what a run has kept, of any part."""
    shutil.rmtree(run / FOLDER, ignore_errors=True)
