"""What earlier runs did in an output folder, a JSON line a study, so that a rerun knows it."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core.batching.lock import not_writable
from core.batching.task import NOTHING_DONE, Outcome, Stamp, StudyInput, StudyRow

JOURNAL = "run.journal"


@dataclass(frozen=True)
class Entry:
    """What became of one study in an earlier run."""

    study: str
    """Name of the study."""
    key: str
    """Hash of all that its outputs depend on."""
    content: str
    """Hash of its sources."""
    work: str = ""
    """Name of the work, such as the command: one folder may hold the outputs of several."""
    stamps: tuple[Stamp, ...] = ()
    """What the sources looked like; empty where that proves nothing."""
    outcome: str = "done"
    """`done`, or `failed` for a reason that lies in the study."""
    files: Mapping[str, int] = field(default_factory=dict)
    """Files written, with their sizes in bytes."""
    figures: dict[str, Any] = field(default_factory=dict)
    """Figures of the outcome."""
    warnings: tuple[str, ...] = ()
    """Warnings of the outcome."""
    message: str = ""
    """Why it failed."""
    hint: str = ""
    """What to do about that."""
    code: int = NOTHING_DONE
    """Exit code of the failure."""

    def still_holds(self, out: Path) -> bool:
        """Whether the files of the study are where they were, in the size that they had."""
        return all(_size(out / name) == size for name, size in self.files.items())

    def row(self, item: StudyInput) -> StudyRow:
        """The row of a study that need not be done again."""
        result = Outcome(tuple(self.files), self.figures, (), self.warnings)
        known = StudyRow(item.study, str(item.path), "skipped", key=self.key, content=self.content, result=result)
        if self.outcome == "done":
            return known
        hint = f"{self.hint} It failed before and has not changed; --retry-failed tries it again.".strip()
        return StudyRow(item.study, known.path, "failed", 0.0, self.message, hint, self.key, code=self.code)


def _size(path: Path) -> int:
    """Bytes of a file, of all files of a folder; −1 where there is nothing."""
    try:
        if path.is_dir():
            return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
        return path.stat().st_size
    except OSError:
        return -1


class Journal:
    """The journal of an output folder; without a folder nothing is known and nothing noted.

    Parameters
    ----------
    out
        The output folder, or None.
    work
        Name of the work.

    Raises
    ------
    UsageError
        When the journal cannot be opened for writing.
    """

    def __init__(self, out: Path | None, work: str = "") -> None:
        self.out = out
        self.work = work
        self._entries: dict[str, dict[str, Entry]] = {}
        self._is_cut = False
        if out is None:
            return
        try:
            with (out / JOURNAL).open("a+", encoding="utf-8", errors="replace") as stream:
                stream.seek(0)
                self._read(stream)
        except OSError as error:
            raise not_writable(out, error) from None

    def _read(self, lines: Iterable[str]) -> None:
        for line in lines:
            self._is_cut = not line.endswith("\n")
            try:
                facts = json.loads(line)
                stamps = tuple((str(path), *map(int, numbers)) for path, *numbers in facts.pop("stamps"))
                entry = Entry(**facts | {"stamps": stamps, "warnings": tuple(facts["warnings"])})
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # the last line of a killed run may be cut; its study is done again
            self._keep(entry)

    def _keep(self, entry: Entry) -> None:
        """Remember an entry, and forget those of other works whose files it has overwritten."""
        works = self._entries.setdefault(entry.study, {})
        works[entry.work] = entry
        for work in [work for work in works if work != entry.work and {*works[work].files} & {*entry.files}]:
            del works[work]

    def entry(self, study: str) -> Entry | None:
        """What became of a study before, in this work."""
        return self._entries.get(study, {}).get(self.work)

    def add(self, row: StudyRow) -> str:
        """Note a study that is done, or failed for good.

        Returns
        -------
        str
            Empty; or why it could not be noted, so that a rerun will do the study again.
        """
        if self.out is None or not row.key or not (row.outcome == "done" or row.lasting):
            return ""
        entry = Entry(
            row.study, row.key, row.content, self.work, row.stamps, row.outcome,
            {name: _size(self.out / name) for name in row.result.files}, row.result.figures, row.result.warnings,
            row.message, row.hint, row.code,
        )  # fmt: skip
        try:
            with (self.out / JOURNAL).open("a", encoding="utf-8") as stream:
                stream.write("\n" * self._is_cut + json.dumps(vars(entry)) + "\n")
        except OSError as error:
            self._is_cut = True
            return f"{self.out / JOURNAL} cannot be written, a rerun does this study again: {error.strerror}."
        self._is_cut = False
        return ""
