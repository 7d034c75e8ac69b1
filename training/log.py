"""What a run writes down while it goes on: `log.jsonl`, and TensorBoard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from core.files import write_text


class Log:
    """`log.jsonl`, and TensorBoard where it is wanted; a resumed run goes on writing at its step."""

    def __init__(self, folder: Path, tensorboard: bool, step: int) -> None:
        self._path = folder / "log.jsonl"
        self._board: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._board = SummaryWriter(str(folder / "tensorboard"), purge_step=step)
        if self._path.exists():
            kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _before(line, step)]
            write_text(self._path, "".join(line + "\n" for line in kept))

    def add(self, step: int, kind: str, values: dict[str, Any]) -> None:
        """Append one line."""
        line = json.dumps({"event": kind, "step": step, **values})
        with self._path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        if self._board is not None:
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._board.add_scalar(f"{kind}/{name}", value, step)

    def close(self) -> None:
        """Write out what TensorBoard still holds."""
        if self._board is not None:
            self._board.close()


def _before(line: str, step: int) -> bool:
    try:
        return int(json.loads(line)["step"]) <= step
    except (ValueError, KeyError, TypeError):
        return False  # the half line of a killed run
