"""How a command goes over its studies: progress, a line a failure, the report, the exit code."""

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import typer

from core.batch import BatchOptions, StudyInput, StudyRow, Task, exit_code, expand, run, write_report
from core.errors import UsageError
from sleepcli import ui

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


def studies_of(paths: Sequence[str], study_id: str | None = None) -> list[StudyInput]:
    """Turn PATHS into studies; `-` reads a list from standard input. Scorings among them are no studies."""
    from core.psg.recording import is_annotation_file

    items = expand(paths, sys.stdin if "-" in paths else (), is_annotation_file)
    if study_id is None:
        return items
    if len(items) > 1:
        raise UsageError(f"--study-id names one study, and {len(items)} were given.", "Give one study at a time.")
    if not study_id or os.sep in study_id or study_id.startswith("."):
        raise UsageError(f"--study-id {study_id!r} is no file name.", "Use letters, digits, - and _.")
    return [StudyInput(items[0].path, study_id)]


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
    if options.on_error not in ON_ERROR:
        raise UsageError(f"--on-error {options.on_error} is not known.", "It is continue or abort.")
    items = studies_of(paths, options.study_id)
    if len(items) > 1 and options.about.get("options", {}).get("scoring"):
        raise UsageError(
            f"--scoring is of one study, and {len(items)} were given.",
            "Give one study at a time, or keep each scoring beside its study.",
        )
    key = f"sleepcli {version('sleepcli')} {options.about.get('key', '')}"
    batch = BatchOptions(options.out, options.jobs, options.on_error, key)
    rows: list[StudyRow] = []
    try:
        with ui.progress(options.command, len(items)) as bar:
            for row in run(task, items, batch):
                rows.append(row)
                bar.advance(row.study)
                with bar.hidden():
                    talk(row)
                    if row.outcome != "failed":
                        _print(row, options, show)
    finally:
        if options.out is not None and rows:
            write_report(options.out, _about(options), rows)
    return rows


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
    if row.outcome == "skipped":
        ui.note(f"{row.study}: already done, nothing has changed.")


def _print(row: StudyRow, options: RunOptions, show: Callable[[StudyRow], None]) -> None:
    if not ui.wants_json(options.json):
        show(row)
    elif options.out is not None:
        figures = {"study": row.study, "outcome": row.outcome, "files": list(row.result.files)}
        ui.json_lines([figures | row.result.figures])
    else:
        ui.json_lines(row.result.rows)


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
