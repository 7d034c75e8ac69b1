"""Going on with a run: what has to be as it was at its start, and what may differ."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core.errors import SleepcliError, UsageError
from training import checkpoint
from training.options import TrainOptions

MAY_DIFFER = frozenset(
    (
        "max_steps",
        "max_minutes",
        "learning_rate",
        "device",
        "precision",
        "threads",
        "compiled",
        "sharded",
        "checkpoint_minutes",
        "keep",
        "validate_minutes",
        "validate_steps",
        "validation_epochs",
        "patience",
        "tensorboard",
    )
)
"""Options that a run may go on with in another value: its length, its pace, the machine, what it writes and when."""
IN_THE_SPLIT = frozenset(("held_out", "subject_separator", "subjects"))
"""Options that count by the split of the subjects that they make."""


def last_state(options: TrainOptions) -> checkpoint.Checkpoint | None:
    """Read the run's newest whole checkpoint; None where there is none."""
    saved = checkpoint.latest(options.out / "checkpoints")
    return None if saved is None else checkpoint.load(saved)


def whats_kept(out: Path, ruined: int | None = None) -> str:
    """Say what a run that failed has on the disk, as the end of a sentence.

    Parameters
    ----------
    out
        The run's folder.
    ruined
        The step whose weights lead to no number: its checkpoint is no place to go on from.
    """
    newest = checkpoint.newest(out / "checkpoints")
    if newest is None:
        return "there is no checkpoint yet."
    if ruined is not None and newest == checkpoint.place(newest.parent, ruined):
        return f"the checkpoint {newest} leads there too: delete it, and the run goes on from the one before, or anew."
    return f"the checkpoint {newest} is whole, and the same command goes on from it."


def check_same(options: TrainOptions, split: Mapping[str, Any]) -> None:
    """Refuse to go on with other subjects or with options that make another run.

    Parameters
    ----------
    options
        Of this start.
    split
        Subjects by side, of this start.

    Raises
    ------
    SleepcliError
        The run's description is missing or damaged.
    UsageError
        Something differs: figures of subjects that were trained on, or a curve that no single run has, would follow.
    """
    path = options.out / "meta.json"
    try:
        meta = json.loads(path.read_text(encoding="utf-8"))
        before, given = meta["split"], meta["options"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SleepcliError(f"{path} is missing or damaged.", "Choose another --out.") from error
    if before != split:
        raise UsageError(
            f"The run {options.out} was begun with other subjects, or others of them held out.",
            "Give the stores, --seed, --held-out and --subject-separator of its start, or choose another --out.",
        )
    apart = difference(given, options.to_json())
    if apart is not None:
        name, was, now = apart
        raise UsageError(
            f"The run {options.out} was begun with {name} {was}, not {now}.",
            "Give the options of its start (its meta.json has them), or choose another --out.",
        )


def difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Find the first option that has to be as it was and is not; options that only one side knows do not count.

    Returns
    -------
    tuple or None
        Its name, as `table.entry` within a table, what it was, and what it is.
    """
    for name in sorted((set(before) & set(now)) - MAY_DIFFER - IN_THE_SPLIT):
        was, is_now = before[name], now[name]
        if isinstance(was, Mapping) and isinstance(is_now, Mapping):
            inner = difference(was, is_now)
            if inner is not None:
                return f"{name}.{inner[0]}", inner[1], inner[2]
        elif was != is_now:
            return name, was, is_now
    return None
