"""Files that are whole or absent: written under a name that begins with a dot, then renamed; and their hashes."""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import SleepcliError

HASH_BLOCK = 1 << 20
ASIDE = ".old.part"
"""End of the name of a folder that is set aside while another one takes its place; a dot begins it."""


def temporary_name(path: Path) -> Path:
    """Name of a file or folder while it is written; a rerun replaces what a killed run left under it."""
    return path.with_name(f".{path.name}.part")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path to write to, and rename it to `path` when the block ends well.

    Parameters
    ----------
    path
        Final name; its folder is made where it does not exist.

    Raises
    ------
    SleepcliError
        When the folder is not writable or the disk is full; nothing is left behind.
    """
    temporary = temporary_name(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        temporary.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        _remove(temporary)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder to fill, and put it in the place of `path` when the block ends well.

    A folder that is there stays whole until the new one is: it is set aside, and comes back when the new one cannot
    take its place; a rerun brings back or removes what a run killed between the two left aside.

    Raises
    ------
    SleepcliError
        When the folder is not writable or the disk is full; nothing is left behind.
    """
    temporary, aside = temporary_name(path), path.with_name(f".{path.name}{ASIDE}")
    try:
        _remove(temporary)
        if aside.exists() and not path.exists():
            aside.rename(path)
        _remove(aside)
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            if aside.exists():
                aside.rename(path)
            raise
        _remove(aside)
    except OSError as error:
        raise _cannot_write(path, error) from None
    finally:
        _remove(temporary)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_with(path: Path, write: Callable[[Path], object]) -> None:
    """Call `write` with a temporary path, then rename."""
    with whole_file(path) as temporary:
        write(temporary)


def _cannot_write(path: Path, error: OSError) -> SleepcliError:
    reason = (error.strerror or "the disk did not take all of it").lower()  # numpy gives a count of bytes alone
    return SleepcliError(
        f"{path} cannot be written: {reason}.",
        "Free some space or choose another folder; finished files are kept.",
    )


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    elif path.is_symlink() or path.exists():
        path.unlink()


def content_hash(path: Path) -> str:
    """Sha256 of a file, or of the names and contents of a prepared study's files."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            digest.update(file.name.encode() if path.is_dir() else b"")
            with file.open("rb") as stream:
                while block := stream.read(HASH_BLOCK):
                    digest.update(block)
    return digest.hexdigest()
