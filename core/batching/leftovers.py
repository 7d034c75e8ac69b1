"""What killed workers leave in an output folder: files and folders under the names they have while they are written."""

import re
import shutil
from collections.abc import Collection
from pathlib import Path

TEMPORARY = re.compile(r"\.(?P<name>.+)\.part")
"""Names of `core.files` and of prepared studies while they are written or replaced."""


def remove_leftovers(out: Path, studies: Collection[str]) -> None:
    """Remove half-written outputs of some studies; nobody may be writing in the folder.

    Parameters
    ----------
    out
        The output folder.
    studies
        Names of the studies whose leftovers go; what belongs to others stays.
    """
    names = {*studies, "run"}
    for path in sorted(out.glob(".*")):
        match = TEMPORARY.fullmatch(path.name)
        if match is None or not _is_of(match["name"], names):
            continue
        aside = out / match["name"].removesuffix(".old")
        if aside.name != match["name"] and not aside.exists():
            path.rename(aside)  # set aside by a run that was killed before the new one took its place
        elif path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _is_of(name: str, studies: Collection[str]) -> bool:
    """Whether a file name is a study's name and a suffix; names may hold dots themselves."""
    parts = name.split(".")
    return any(".".join(parts[:count]) in studies for count in range(1, len(parts)))
