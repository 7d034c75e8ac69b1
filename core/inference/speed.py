"""How fast this machine works: every step of a study, timed."""

import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar

from core.inference.engine import Engine
from core.inference.sessions import usable_cpus
from core.psg.recording import open_recording

Made = TypeVar("Made")
QUESTION = "REM sleep with a fall in oxygen"
STEPS = ("load", "read", "prepare", "measure", "embed", "caption", "stage", "query")


@dataclass(frozen=True)
class Timing:
    """One step."""

    step: str
    """One of STEPS."""
    seconds: float
    """By the clock."""
    cpu_seconds: float
    """Of all threads of this process."""
    count: int
    """How much was worked on."""
    unit: str
    """What is counted: `epochs`, `captions`, or `questions`."""
    rate: float
    """Count a second."""
    memory_mb: float
    """Most memory that this process has held so far, in MB; 0 where the system does not tell."""

    def to_json(self) -> dict[str, Any]:
        """Give the timing as JSON values."""
        return asdict(self)


def time_study(path: Path, load: Callable[[], Engine]) -> Iterator[Timing]:
    """Work through a study step by step and time each; nothing is written.

    Parameters
    ----------
    path
        A recording.
    load
        Makes the engine; this is the first step.

    Yields
    ------
    Timing
        Each step when it is done; steps that the model cannot do are left out. `prepare` reads the file again.
    """
    from core.inference.captioning import CaptionOptions, caption_study
    from core.inference.embedding import embed_study
    from core.inference.search import index_study, search
    from core.inference.staging import stage_study
    from core.inference.studies import StudyOptions, open_study

    engine, loaded = _timed(load)
    study, prepared = _timed(
        lambda: open_study(path, StudyOptions(look_for_scoring=False, measured=False, channels=engine.bundle.channels))
    )
    epochs = study.n_epochs
    yield _timing("load", loaded, 1, "models")
    yield _timing("read", _timed(lambda: _read_all(path))[1], epochs, "epochs")
    yield _timing("prepare", prepared, epochs, "epochs")
    measured, seconds = _timed(lambda: open_study(path, StudyOptions(look_for_scoring=False)))
    yield _timing("measure", (seconds[0] - prepared[0], seconds[1] - prepared[1]), epochs, "epochs")
    engine.encode(study.stack(engine.bundle.channels, slice(0, 1)))  # the first call opens the session
    embedded = measured if engine.bundle.measured else study
    yield _timing("embed", _timed(lambda: embed_study(embedded, engine))[1], epochs, "epochs")
    if engine.writes:
        rows, seconds = _timed(lambda: list(caption_study(measured, engine, CaptionOptions(use_scoring=False))))
        yield _timing("caption", seconds, sum(len(row.captions) for row in rows), "captions")
    if engine.bundle.tokenizer is None:
        return
    yield _timing("stage", _timed(lambda: stage_study(measured, engine))[1], epochs, "epochs")
    table = index_study(measured, engine, False)
    yield _timing("query", _timed(lambda: search(QUESTION, (table,), engine))[1], 1, "questions")


def hardware(engine: Engine) -> dict[str, Any]:
    """Name what the figures hold for: processor, cores, memory, device, versions."""
    import onnxruntime

    return {
        "processor": _processor(),
        "cpus": usable_cpus(),
        "threads": engine.threads,
        "memory_gb": _memory_gb(),
        "device": engine.device,
        "model": engine.bundle.name,
        "model_hash": engine.bundle.content_hash,
        "precision": engine.bundle.precision,
        "batch": engine.batch,
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "onnxruntime": onnxruntime.__version__,
    }


def _read_all(path: Path) -> None:
    recording = open_recording(path)
    for index in range(len(recording.signals)):
        recording.read(index)


def _timed(work: Callable[[], Made]) -> tuple[Made, tuple[float, float]]:
    """Give what the work makes, then seconds by the clock and of the processor."""
    clock, cpu = time.perf_counter(), time.process_time()
    made = work()
    return made, (time.perf_counter() - clock, time.process_time() - cpu)


def _timing(step: str, seconds: tuple[float, float], count: int, unit: str) -> Timing:
    wall, cpu = (max(value, 1e-9) for value in seconds)
    return Timing(step, round(wall, 4), round(cpu, 4), count, unit, round(count / wall, 3), _peak_mb())


def _peak_mb() -> float:
    if sys.platform == "win32":
        return 0.0  # it has no such figure without further packages
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1 << 20 if sys.platform == "darwin" else 1 << 10), 1)


def _processor() -> str:
    """Name the processor as the system does."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30), 1)
    except (AttributeError, ValueError, OSError):
        return None
