"""Checkpoints of a training run: safetensors + meta.json in a folder that appears whole or not at all.

A folder is written under a name that begins with "." and renamed. A killed run leaves only such hidden
folders behind, which the next one removes; `latest` then finds the last whole checkpoint.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from core.errors import SleepcliError
from core.files import ASIDE, whole_file, whole_folder, write_text
from training.sharding import spread_as, whole

TENSORS = "state.safetensors"
META = "meta.json"
_PREFIX = "step-"
_OS_ERROR = re.compile(r"os error (\d+)")
"""How safetensors tells what the operating system said, such as 28 for a full disk."""


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run after a step."""

    step: int
    """Optimizer steps that are done."""
    tensors: dict[str, Tensor]
    """Weights, averages, optimizer moments and random states, keyed with a prefix by kind."""
    meta: dict[str, Any]
    """What is not a tensor: best figures, elapsed seconds, the sampler's place."""


def write_weights(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write a safetensors file, whole or not at all; shared tensors are stored under each of their names.

    Raises
    ------
    SleepcliError
        When the disk is full or the place cannot be written.
    """
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    with whole_file(path) as temporary:
        try:
            save_file(plain, temporary)
        except SafetensorError as error:
            told = _OS_ERROR.search(str(error))
            code = int(told[1]) if told else errno.EIO
            raise OSError(code, os.strerror(code)) from error


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises
    ------
    SleepcliError
        When it is not there or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise SleepcliError(
            f"The weights {path} are missing or damaged.", "Delete that folder and train or resume again."
        ) from error


def save(folder: Path, checkpoint: Checkpoint, keep: int = 2) -> Path:
    """Write a checkpoint and remove the oldest beyond `keep`.

    Parameters
    ----------
    folder
        The run's `checkpoints/`; made when it is not there.
    checkpoint
        What to keep.
    keep
        Checkpoints that stay, at least 1.

    Returns
    -------
    Path
        The checkpoint's folder, `step-<8 digits>`.

    Raises
    ------
    SleepcliError
        When the disk is full or the place cannot be written; earlier checkpoints stay whole.
    """
    final = place(folder, checkpoint.step)
    with whole_folder(final) as temporary:
        write_weights(temporary / TENSORS, checkpoint.tensors)
        meta = {"step": checkpoint.step, **checkpoint.meta}
        write_text(temporary / META, json.dumps(meta, indent=1) + "\n")
    for old in _whole(folder)[: -max(keep, 1)]:
        shutil.rmtree(old, ignore_errors=True)
    return final


def place(folder: Path, step: int) -> Path:
    """Give the folder of a step's checkpoint."""
    return folder / f"{_PREFIX}{step:08d}"


def latest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, None when there is none; leftovers of a killed run are removed.

    A checkpoint that was set aside for one of the same step, which then never took its place, comes back.
    """
    for leftover in folder.glob(f".{_PREFIX}*"):
        final = folder / leftover.name.removeprefix(".").removesuffix(ASIDE)
        if leftover.name.endswith(ASIDE) and not final.exists():
            leftover.rename(final)
        else:
            shutil.rmtree(leftover, ignore_errors=True)
    return newest(folder)


def newest(folder: Path) -> Path | None:
    """Return the newest whole checkpoint, None when there is none."""
    whole = _whole(folder)
    return whole[-1] if whole else None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint's folder.

    Raises
    ------
    SleepcliError
        When it is damaged.
    """
    try:
        meta = json.loads((path / META).read_text(encoding="utf-8"))
        step = int(meta.pop("step"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SleepcliError(
            f"The checkpoint {path} is damaged.", "Delete that folder: the run then resumes from the one before."
        ) from error
    return Checkpoint(step=step, tensors=read_weights(path / TENSORS), meta=meta)


def pack(kinds: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Join named groups of tensors into one flat mapping `<group>/<name>`."""
    return {f"{kind}/{name}": value for kind, entries in kinds.items() for name, value in entries.items()}


def unpack(tensors: Mapping[str, Tensor], kind: str) -> dict[str, Tensor]:
    """Return one group of a packed mapping."""
    start = kind + "/"
    return {name[len(start) :]: value for name, value in tensors.items() if name.startswith(start)}


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimizer's moments and step counts as `<parameter index>.<name>`."""
    state = optimizer.state_dict()["state"]
    return {
        f"{index}.{name}": whole(value) if isinstance(value, Tensor) else torch.tensor(value)
        for index, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` returned."""
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = spread_as(value, parameters[int(index)])
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def _whole(folder: Path) -> list[Path]:
    found = [path for path in folder.glob(f"{_PREFIX}*") if (path / META).is_file() and (path / TENSORS).is_file()]
    return sorted(found, key=lambda path: path.name)
