"""The report of a run: run.json and run.csv, and the exit code."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.batching.task import StudyRow
from core.files import write_text


def write_report(out: Path, about: Mapping[str, Any], rows: Sequence[StudyRow]) -> None:
    """Write run.json and run.csv: versions, model and options, and a row a study.

    Parameters
    ----------
    out
        Folder of the run.
    about
        What the run was: command, versions, model and its hash, device, options.
    rows
        One a study.
    """
    table = [
        {
            "study": row.study,
            "path": row.path,
            "outcome": row.outcome,
            "seconds": round(row.seconds, 2),
            "message": f"{row.message} {row.hint}".strip(),
            "files": list(row.result.files),
            "warnings": list(row.result.warnings),
            "figures": row.result.figures,
        }
        for row in sorted(rows, key=lambda row: row.study)
    ]
    columns = ("study", "path", "outcome", "seconds", "message")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(entry[column]) for column in columns] for entry in table)
    write_text(out / "run.json", json.dumps({**about, "studies": table}, indent=2) + "\n")
    write_text(out / "run.csv", text.getvalue())


def _text(value: Any) -> Any:
    """A cell; bytes of a file name that are no text are shown as such."""
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def exit_code(rows: Sequence[StudyRow]) -> int:
    """0 all done; 1 some studies failed; 2 wrong usage, of all of them; 3 none could be done (DESIGN: exit codes)."""
    codes = [row.code for row in rows if row.outcome == "failed"]
    if len(codes) < len(rows):
        return 1 if codes else 0
    return max(codes, default=0)
