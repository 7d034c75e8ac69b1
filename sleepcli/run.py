"""How a command goes over its studies: progress, a line a failure, the report, the exit code."""

import os
import platform
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from core.batch import BatchOptions, Outcome, StudyInput, StudyRow, Task, exit_code, expand, most_workers, run
from core.errors import SleepcliError, UsageError
from sleepcli import ui
from sleepcli.batch_talk import BatchTalk
from sleepcli.extras import extra_room
from sleepcli.interrupts import INTERRUPTED, stoppable

REPORTED_PACKAGES = ("sleepcli", "numpy", "scipy", "edfio", "mne", "onnxruntime-gpu", "onnxruntime", "tokenizers")
ON_ERROR = ("continue", "abort")
DEBUG: ContextVar[bool] = ContextVar("debug", default=False)
"""Whether `--debug` asked where errors come from."""


@dataclass(frozen=True)
class RunOptions:
    """What the shared options of a command said."""

    command: str
    out: Path | None = None
    jobs: int = 1
    on_error: str = "continue"
    json: bool = False
    study_id: str | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    """Model, its hash, device and options, for run.json; the outputs depend on `about["key"]`."""
    timeout: float | None = None
    """Seconds for one study."""
    retry_failed: bool = False
    """Whether what failed before is tried again."""
    cluster: str | None = None
    """`slurm` or the address of a Dask scheduler."""
    has_report: bool = True
    """Whether run.json and run.csv are written."""
    kept: str = ""
    """Where the work keeps its results itself, such as `The library lab`; empty where it does not."""
    epochs: tuple[int, ...] = ()
    """Epochs whose rows are printed; empty for all."""
    all_or_none: bool = False
    """Whether what is made comes of all studies together, so that nothing is kept of some."""


def studies_of(paths: Sequence[str], study_id: str | None = None) -> list[StudyInput]:
    """Turn PATHS into studies; `-` reads a list from standard input. Scorings among them are no studies."""
    from core.psg.recording import is_annotation_file

    items = expand(paths, _listed() if "-" in paths else (), is_annotation_file)
    if study_id is None:
        return items
    if len(items) > 1:
        raise UsageError(f"--study-id names one study, and {len(items)} were given.", "Give one study at a time.")
    if not study_id or os.sep in study_id or study_id.startswith("."):
        raise UsageError(f"--study-id {study_id!r} is no file name.", "Use letters, digits, - and _.")
    return [StudyInput(items[0].path, study_id)]


def _listed() -> list[str]:
    """Lines of standard input; a name that is no text in this system's encoding is kept as the file system has it."""
    stream = getattr(sys.stdin, "buffer", None)
    return (os.fsdecode(stream.read()) if stream is not None else sys.stdin.read()).split("\n")


def run_studies(
    task: Task, paths: Sequence[str], options: RunOptions, show: Callable[[StudyRow], None]
) -> list[StudyRow]:
    """Run a task over PATHS, print what came of each study, write the report.

    Parameters
    ----------
    task
        The work on one study.
    paths
        As typed.
    options
        The shared options.
    show
        Draws a finished study on a terminal.

    Returns
    -------
    list of StudyRow
        One a study; `finish` turns them into the exit code.
    """
    items = studies_of(paths, options.study_id)
    if len(items) > 1 and options.about.get("options", {}).get("scoring"):
        raise UsageError(
            f"--scoring is of one study, and {len(items)} were given.",
            "Give one study at a time, or keep each scoring beside its study.",
        )
    return run_items(task, items, options, show)


def run_items(
    task: Task, items: Sequence[StudyInput], options: RunOptions, show: Callable[[StudyRow], None]
) -> list[StudyRow]:
    """Run a task over studies; see `run_studies`. The rows for a pipe are let go once they are printed.

    Raises
    ------
    UsageError
        An option has a value that does not exist, or the output folder or the cluster cannot be used.
    SleepcliError
        Another run writes to the output folder.
    """
    if options.on_error not in ON_ERROR:
        raise UsageError(f"--on-error {options.on_error} is not known.", "It is continue or abort.")
    if options.cluster is None and min(options.jobs, len(items)) > most_workers():
        ui.remark(f"{most_workers()} workers, not {options.jobs}: more would wait for the processors of this machine.")
    talk_of = BatchTalk(options.command, len(items))
    rows: list[StudyRow] = []
    printed = _Printed(options, show)
    with ExitStack() as held:
        if options.cluster is not None:
            held.enter_context(extra_room("cluster", f"sleepcli {options.command} --cluster"))
        stop = held.enter_context(stoppable(talk_of.stopping if len(items) > 1 else None))
        held.enter_context(talk_of)
        batch = _batch(options, len(items), stop, talk_of.began)
        for row in held.enter_context(closing(_told(run(task, items, batch), len(items), options.on_error))):
            rows.append(replace(row, result=replace(row.result, rows=())))
            with talk_of.about(row):
                talk(row)
                if row.outcome != "failed":
                    printed.row(row)
    if stop() and len(rows) < len(items):
        ui.note(f"Stopped after {len(rows)} of {len(items)} studies. {_how_to_go_on(options)}")
        raise typer.Exit(INTERRUPTED)
    return rows


def _how_to_go_on(options: RunOptions) -> str:
    if options.kept:
        return f"{options.kept} has them; the same command goes on from there."
    if options.out is not None:
        return "The same command goes on from there."
    if options.all_or_none:
        return "Nothing is kept of them: what is made comes of all studies together."
    return "Without --out nothing is kept."


def _told(rows: Generator[StudyRow, None, None], count: int, on_error: str) -> Generator[StudyRow, None, None]:
    """Yield rows; what ends a batch after some of them is told here, and the exit code is that of the rows."""
    seen: list[StudyRow] = []
    try:
        with closing(rows):
            for row in rows:
                seen.append(replace(row, result=Outcome()))
                yield row
    except SleepcliError as error:
        if seen and seen[-1].outcome == "failed" and on_error == "abort":
            ui.note("Stopped at this failure, because --on-error is abort.")
        elif len(seen) == count:  # all studies are done, and the report cannot be written
            ui.error(error.message, error.hint)
            raise typer.Exit(exit_code(seen) or 1) from None
        else:
            raise


def _batch(
    options: RunOptions, count: int, stop: Callable[[], bool], began: Callable[[int, str], None]
) -> BatchOptions:
    return BatchOptions(
        out=options.out,
        jobs=options.jobs,
        on_error=options.on_error,
        key=f"sleepcli {version('sleepcli')} {options.command} {options.about.get('key', '')}",
        work=options.command,
        timeout=options.timeout,
        retry_failed=options.retry_failed,
        cluster=options.cluster,
        kept=bool(options.kept),
        about={**_about(options), "given": count} if options.has_report else None,
        stop=stop,
        started=began,
    )


def finish(rows: Sequence[StudyRow]) -> None:
    """End the command with the exit code of its studies; a batch closes with one line of counts."""
    if len(rows) > 1:
        counts = {name: sum(row.outcome == name for row in rows) for name in ("done", "skipped", "failed")}
        ui.note(", ".join(f"{count} {name}" for name, count in counts.items() if count) + ".")
    code = exit_code(rows)
    if code:
        raise typer.Exit(code)


def talk(row: StudyRow) -> None:
    """Say on standard error what became of a study, where that is not plain success."""
    if row.trace and DEBUG.get():
        ui.note(row.trace)
    if row.outcome == "failed":
        ui.error(row.message if row.study in row.message else f"{row.study}: {row.message}", row.hint)
    for warning in row.result.warnings:
        ui.warn(f"{row.study}: {warning}")


class _Printed:
    """What is printed of finished studies; a reader that goes away ends only a run whose results are the print."""

    def __init__(self, options: RunOptions, show: Callable[[StudyRow], None]) -> None:
        self._options = options
        self._show = show
        self._is_read = True

    def row(self, row: StudyRow) -> None:
        """Print one study."""
        if not self._is_read:
            return
        try:
            self._print(row)
        except BrokenPipeError:
            if self._options.out is None and not self._options.kept:
                raise
            self._is_read = False
            ui.forget_reader()

    def _print(self, row: StudyRow) -> None:
        options = self._options
        if not ui.wants_json(options.json):
            self._show(row)
        elif options.out is not None:
            figures = {"study": row.study, "outcome": row.outcome, "files": list(row.result.files)}
            ui.json_lines([figures | row.result.figures])
        else:
            wanted = options.epochs
            ui.json_lines(one for one in row.result.rows if not wanted or one["epoch"] in wanted)


def _about(options: RunOptions) -> dict[str, Any]:
    return {
        "command": options.command,
        "versions": {"python": platform.python_version(), **dict(_versions())},
        **{name: value for name, value in options.about.items() if name != "key"},
        "jobs": options.jobs,
        "on_error": options.on_error,
    }


def _versions() -> list[tuple[str, str]]:
    found = []
    for package in REPORTED_PACKAGES:
        try:
            found.append((package, version(package)))
        except PackageNotFoundError:
            continue
    return found
