"""What `index` and `query` do to one study: read it into rows, for a library or for this process alone."""

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.batch import Outcome, StudyInput
from core.errors import StudyError
from core.files import content_hash
from core.inference.bundle import load_bundle
from core.inference.epoch_table import table_of_study
from core.inference.library import FORMAT, Library, StudyKey, source_key
from core.inference.night import NightOptions
from core.inference.tasks import ModelChoice, Reading, ReadsStudies
from core.language.facts import DOMAINS

UNCHANGED = "unchanged"
"""What the figures of a study say that is in the library already."""


@dataclass(frozen=True)
class GatherTask(ReadsStudies):
    """Reads a study into rows, a `StudyTable`, for the caller to search in memory."""

    choice: ModelChoice
    reading: Reading
    domains: tuple[str, ...] = ("stage_event",)
    """Domains to caption: each costs time."""

    def __call__(self, item: StudyInput) -> Outcome:
        """Read one study."""
        study = self.reading.open(item)
        table = table_of_study(study, self.choice.engine(), NightOptions(self.domains))
        return Outcome(figures={"epochs": study.n_epochs}, warnings=study.repairs, found=table)


@dataclass(frozen=True)
class IndexTask(ReadsStudies):
    """Reads a study into rows and puts them into a library, unless it is there as it is."""

    library: str
    """Folder or address."""
    choice: ModelChoice
    reading: Reading
    named: bool = False
    """Whether the caller named the study."""

    def __call__(self, item: StudyInput) -> Outcome:
        """Index one study."""
        library = _library(absolute(self.library), self.choice.model)
        key = self._key(item)
        naming = library.rename if self.named else library.name_for
        study = naming(item.study, item.path, key)
        figures: dict[str, Any] = {"study": study, "state": UNCHANGED}
        if library.holds(study, key):
            return Outcome(figures=figures, rows=(figures,))
        prepared = self.reading.open(replace(item, study=study))
        library.add(table_of_study(prepared, self.choice.engine(), NightOptions(DOMAINS)), key)
        library.tidy()
        figures |= {"study": study, "state": "indexed", "epochs": prepared.n_epochs}
        return Outcome(figures=figures, rows=(figures,), warnings=prepared.repairs)

    def _key(self, item: StudyInput) -> StudyKey:
        try:
            contents = [content_hash(path) for path in self.sources(item)]
        except OSError as error:
            raise StudyError(f"{item.path} cannot be read: {error.strerror}.", "Check its permissions.") from None
        options = f"{self.reading.look_for_scoring} {self.reading.lights_off} {self.reading.lights_on}"
        digest = hashlib.sha256(f"{FORMAT} {' '.join(contents)} {options}".encode())
        return StudyKey(digest.hexdigest(), source_key(item.path))


def absolute(place: str) -> str:
    """A library's folder from the root; an address of an object storage as it is."""
    return place if "://" in place else str(Path(place).absolute())


@lru_cache(maxsize=1)
def _library(place: str, model: str) -> Library:
    """The library of this process, opened once."""
    return Library(place, load_bundle(model), create=True)
