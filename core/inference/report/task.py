"""The report of one study as a task of a batch: read, draw, write."""

from dataclasses import dataclass, field
from pathlib import Path

from core.batch import Outcome, StudyInput
from core.files import write_text
from core.inference.report.contents import read_contents
from core.inference.report.figure import write_figure
from core.inference.report.index import index_figures
from core.inference.report.page import page
from core.inference.report.tracks import night_figure
from core.inference.tasks import ModelChoice, Reading, ReadsStudies, stage_figures


@dataclass(frozen=True)
class ReportTask(ReadsStudies):
    """Writes a study's report, or its figure alone."""

    out: Path
    """The file, or the folder of several."""
    single: bool
    """Whether `out` is the file."""
    form: str = "html"
    """One of `core.inference.report.figure.FORMATS`."""
    choice: ModelChoice | None = field(default_factory=ModelChoice)
    """None tells what is measured and scored alone."""
    reading: Reading = field(default_factory=Reading)

    def file_of(self, study: str) -> Path:
        """Where a study's report goes."""
        return self.out if self.single else self.out / f"{study}.report.{self.form}"

    def __call__(self, item: StudyInput) -> Outcome:
        """Report on one study."""
        study = self.reading.open(item)
        contents = read_contents(study, self.choice.engine() if self.choice is not None else None)
        path = self.file_of(item.study)
        if self.form == "html":
            write_text(path, page(contents))
        else:
            write_figure(night_figure(contents), study.study, path, self.form)
        figures = stage_figures(contents.night.staging) | {"report": index_figures(contents)}
        row = {"study": item.study, "file": path.name, **figures}
        return Outcome((path.name,), figures, (row,) if self.single else (), study.repairs)
