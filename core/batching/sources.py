"""The files that a study's outputs depend on: their hash, and how to see cheaply that they are the same."""

import hashlib
import time
from collections.abc import Sequence
from pathlib import Path

from core.batching.task import Stamp, StudyInput, Task
from core.errors import SleepcliError
from core.files import content_hash

SETTLED_SECONDS = 2.0
"""A file changed more recently than this may change again within one tick of its file system's clock."""


def sources_of(task: Task, item: StudyInput) -> tuple[Path, ...] | None:
    """Give a study's sources; None where they cannot be told."""
    try:
        return tuple(task.sources(item))
    except (OSError, SleepcliError):
        return None


def stamps_of(paths: Sequence[Path]) -> tuple[Stamp, ...] | None:
    """Give size, times and inode of each file, of all files below a folder; None where one cannot be seen."""
    try:
        return tuple(_stamp(file) for path in paths for file in _files(path))
    except OSError:
        return None


def _files(path: Path) -> list[Path]:
    return [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]


def _stamp(path: Path) -> Stamp:
    seen = path.stat()
    return str(path.absolute()), seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino


def are_settled(stamps: Sequence[Stamp]) -> bool:
    """Whether a later change of any of the files would change its stamp for certain."""
    latest = (time.time() - SETTLED_SECONDS) * 1e9
    return all(modified < latest and changed < latest for _, _, modified, changed, _ in stamps)


def same_content(before: Sequence[Stamp], after: Sequence[Stamp]) -> bool:
    """Whether files kept size, modification time and inode; permissions may have changed."""
    return [(*stamp[:3], stamp[4]) for stamp in before] == [(*stamp[:3], stamp[4]) for stamp in after]


def hash_of(paths: Sequence[Path]) -> str:
    """Hash the contents of files and folders.

    Raises
    ------
    OSError
        When one of them cannot be read.
    """
    return " ".join(content_hash(path) for path in paths)


def key_of(content: str, item: StudyInput, options_key: str) -> str:
    """Hash all that a study's outputs depend on: contents, name, model and options."""
    return hashlib.sha256(f"{content} {item.study} {options_key}".encode()).hexdigest()
