"""From what people type to studies: files, folders, globs and lists."""

import glob
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from core.batching.task import StudyInput
from core.errors import UsageError

STUDY_SUFFIXES = (".edf", ".bdf", ".rec", ".vhdr", ".set", ".fif", ".fif.gz", ".gdf", ".cnt", ".npy")
"""What a folder is searched for, besides `.psg` folders; a file given by name may have any suffix."""
STUDY_FOLDERS = (".psg", ".mff", ".mefd")
"""Folders that are one study: prepared ones, and EGI's and MEF's recordings."""


def expand(
    paths: Sequence[str], listed: Iterable[str] = (), is_scoring: Callable[[Path], bool] | None = None
) -> list[StudyInput]:
    """Turn files, folders, globs and lists into studies with unique names.

    Parameters
    ----------
    paths
        As typed: a file, a prepared study, a folder (searched below for `STUDY_SUFFIXES`), a glob, or `-`
        for the list.
    listed
        Lines of the list that stands for `-`, one path a line.
    is_scoring
        Tells the files that hold annotations only: beside studies they are left out, alone they stay.

    Raises
    ------
    UsageError
        When none of the paths exists, or no study is in them.
    """
    typed = [line for path in paths for line in (_lines(listed) if path == "-" else [path])]
    found: dict[Path, None] = {}
    missing: list[Path] = []
    for text in typed:
        matches = _matches(text)
        if not matches:
            missing.append(Path(text))
        for match in matches:
            found[match] = None
    if missing and not found and not any(Path(text).exists() for text in typed):
        raise UsageError(f"No such file or folder: {missing[0]}.", "Check the path, or quote a glob.")
    items = list(found) + [path for path in missing if not path.exists()]
    if not items:
        raise UsageError(
            f"No study was found in {typed[0] if typed else 'an empty list'}.",
            f"A folder is searched for {' '.join(STUDY_SUFFIXES)} files and prepared .psg studies.",
        )
    studies = [path for path in items if is_scoring is None or not is_scoring(path)]
    return _named(studies or items)


def _lines(listed: Iterable[str]) -> list[str]:
    return [line.strip() for line in listed if line.strip()]


def _matches(text: str) -> list[Path]:
    path = Path(text)
    if path.is_dir() and not _is_study_folder(path):
        return sorted(_studies_below(path))
    if path.exists():
        return [path]
    matches = sorted(glob.glob(text, recursive=True))
    return [inner for match in matches for inner in _matches(glob.escape(match))]


def _is_study_folder(path: Path) -> bool:
    return path.suffix in STUDY_FOLDERS and path.is_dir()


def _studies_below(folder: Path) -> Iterator[Path]:
    for base, folders, files in os.walk(folder):
        prepared = [name for name in folders if _is_study_folder(Path(base, name))]
        folders[:] = sorted(name for name in folders if name not in prepared and not name.startswith("."))
        yield from (Path(base, name) for name in prepared if not name.startswith("."))
        for name in files:
            study = name.lower().endswith(STUDY_SUFFIXES) and not name.endswith(".embeddings.npy")
            if study and not name.startswith("."):
                yield Path(base, name)


def study_name(path: Path) -> str:
    """Name of a study: the file's stem."""
    name = path.name
    return name[: -len(".fif.gz")] if name.lower().endswith(".fif.gz") else path.stem


def _named(paths: list[Path]) -> list[StudyInput]:
    """Give each path the shortest unique name: its stem, told apart by folders, then by suffix."""
    names = {path: study_name(path) for path in paths}
    absolute = {path: path.absolute() for path in paths}
    for depth in range(1, 1 + max(len(path.parts) for path in absolute.values())):
        clashes = [path for path in paths if Counter(names.values())[names[path]] > 1]
        if not clashes:
            break
        for path in clashes:
            folders = absolute[path].parts[1:-1][-depth:]
            names[path] = "_".join((*folders, study_name(path)))
    counts = Counter(names.values())
    return [
        StudyInput(path, name if counts[name] == 1 else f"{name}_{path.suffix.lstrip('.')}")
        for path, name in names.items()
    ]
