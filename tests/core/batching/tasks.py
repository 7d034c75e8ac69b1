"""Tasks whose content does not matter, for tests of what a batch does around them; worker processes import them."""

import itertools
import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.batch import Outcome, StudyInput
from core.errors import StudyError
from core.files import whole_file, write_text


@dataclass(frozen=True)
class ReverseTask:
    """Writes a study's text upside down, in two files and in small pieces; does what the text orders.

    `broken` is refused, `bug` is a bug, `hang` sleeps, `die` kills the process, `die once` kills the first that
    tries, `slow` takes a moment.
    """

    out: Path
    pause: float = 0.0
    """Seconds between the pieces of a file."""

    def __call__(self, item: StudyInput) -> Outcome:
        content = item.path.read_text()
        _obey(content, item.path)
        for name in (f"{item.study}.txt", f"{item.study}.again.txt"):
            with whole_file(self.out / name) as temporary, temporary.open("w") as stream:
                for piece in batched(iter(content[::-1]), 1 + len(content) // 40):
                    stream.write("".join(piece))
                    stream.flush()
                    time.sleep(self.pause)
        write_text(self.out / f"{item.study}.length.txt", str(len(content)))
        names = (f"{item.study}.txt", f"{item.study}.again.txt", f"{item.study}.length.txt")
        return Outcome(names, {"letters": len(content)})

    def sources(self, item: StudyInput) -> Sequence[Path]:
        return (item.path,)


def batched(letters: Iterator[str], size: int) -> Iterator[tuple[str, ...]]:
    """Yield tuples of so many letters."""
    while piece := tuple(itertools.islice(letters, size)):
        yield piece


def _obey(order: str, path: Path) -> None:
    if order.startswith("broken"):
        raise StudyError(f"{path.name} is broken.", "Mend it.")
    if order.startswith("bug"):
        raise ZeroDivisionError(order)
    if order.startswith("hang"):
        time.sleep(1000)
    if order.startswith("die once"):
        mark = path.with_suffix(".mark")
        if mark.exists():
            return
        mark.touch()
    if order.startswith("die"):
        os.kill(os.getpid(), signal.SIGKILL)
    if order.startswith("changes"):
        path.write_text(f"{order}, again and again")
    if order.startswith("goes"):
        path.unlink()
        raise FileNotFoundError(2, "No such file or directory")


def outputs(out: Path) -> dict[str, bytes]:
    """Every file of an output folder but those of the run itself."""
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and not path.name.startswith("run.")
    }


def write_studies(folder: Path, texts: Sequence[str]) -> Path:
    """Write studies `s000.edf`, `s001.edf`, ... with these texts."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (folder / f"s{number:03d}.edf").write_text(text)
    return folder
