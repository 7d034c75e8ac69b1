"""Does the program work: ONNX Runtime and its device, the models, and a short night read from end to end."""

import ctypes
import os
import platform
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from core.errors import SleepcliError
from sleepcli.examinations.finding import Finding

RUNTIME = "onnxruntime-gpu"
CUDA_EXTRAS = ("cuda", "cudnn")
GPU = 'pip install "onnxruntime-gpu[cuda,cudnn]"'
REINSTALL = "Reinstall sleepcli and its packages in a new environment."
TEST_HOURS = 0.17
"""Ten minutes and a bit: the shortest night that the simulator makes."""
BEATS = 5.0
"""Beats a minute that the mean heart rate of the test may be off."""


def device(chosen: str) -> Iterator[Finding]:
    """Look at the providers, the driver, the CUDA libraries, and what a run would use."""
    from core.inference.onnx_runtime import ort

    yield Finding("processor", "ok", f"{platform.machine()}, {platform.system()}")
    yield Finding("onnxruntime providers", "ok", ", ".join(ort.get_available_providers()))
    card = gpu_name()
    yield Finding("NVIDIA driver", "ok" if card else "note", card or "none; the CPU is used")
    if libraries := cuda_libraries():
        missing = [name for name, found in libraries.items() if not found]
        found = f"missing: {', '.join(missing)}" if missing else "installed"
        state = "ok" if not missing else "problem" if card else "note"
        yield Finding("CUDA libraries", state, found, f"For NVIDIA GPUs: {GPU}" if missing else "")
    yield _used(chosen)


def _used(chosen: str) -> Finding:
    """Open the shipped model where a run would."""
    from core.inference.bundle import load_bundle
    from core.inference.engine import Engine

    try:
        engine = Engine(load_bundle("nano"), chosen)
    except SleepcliError as error:
        return Finding(f"device {chosen}", "problem", error.message, error.hint)
    return Finding(f"device {chosen}", "ok", engine.device_note or f"{engine.device} is used")


def gpu_name() -> str:
    """Name of the first NVIDIA GPU, by its driver; empty where there is none."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return ""
    name = ctypes.create_string_buffer(128)
    handle = ctypes.c_int(0)
    if driver.cuInit(0) or driver.cuDeviceGet(ctypes.byref(handle), 0) or driver.cuDeviceGetName(name, 128, handle):
        return ""
    return name.value.decode(errors="replace")


def cuda_libraries() -> dict[str, str]:
    """Packages that bring the CUDA libraries of this ONNX Runtime, with the version that is installed or nothing."""
    try:
        lines = requires(RUNTIME) or []
    except PackageNotFoundError:
        return {}
    found = {}
    for line in lines:
        requirement, _, condition = line.partition(";")
        if any(f'extra == "{extra}"' in condition for extra in CUDA_EXTRAS):
            name = re.split(r"[^A-Za-z0-9_.-]", requirement.strip())[0]
            try:
                found[name] = version(name)
            except PackageNotFoundError:
                found[name] = ""
    return found


def models() -> list[Finding]:
    """Check every file of every installed model against its hash."""
    from core.inference.bundle import installed_models, load_bundle

    findings = []
    for name in installed_models():
        try:
            bundle = load_bundle(name)
        except SleepcliError as error:
            findings.append(Finding(f"model {name}", "problem", error.message, error.hint))
        else:
            findings.append(Finding(f"model {name}", "ok", f"sha256 {bundle.content_hash[:12]} in {bundle.folder}"))
    return findings or [Finding("models", "problem", "none", "Reinstall sleepcli, or give --model DIR.")]


def temporary_folder() -> Path:
    """Where temporary files go; the place to look at where no folder takes them."""
    try:
        return Path(tempfile.gettempdir())
    except OSError:
        return Path(os.environ.get("TMPDIR") or "/tmp")


def self_test(model: str, chosen: str) -> Finding:
    """Simulate ten minutes, write them as EDF, caption them, and compare with what was simulated."""
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="sleepcli-") as folder:
            trouble = _read_simulated(Path(folder), model, chosen)
    except SleepcliError as error:
        return Finding("self-test", "problem", error.message, error.hint)
    except OSError as error:
        cure = "Free some space for temporary files, or set TMPDIR to a folder that you may write."
        return Finding("self-test", "problem", f"no file can be written: {(error.strerror or 'refused').lower()}", cure)
    seconds = time.perf_counter() - began
    if trouble:
        return Finding("self-test", "problem", trouble, REINSTALL)
    return Finding("self-test", "ok", f"ten simulated minutes captioned by {model} in {seconds:.0f} s")


def _read_simulated(folder: Path, model: str, chosen: str) -> str:
    """Say what is wrong with the captions of a simulated night; nothing where all is well."""
    import numpy as np

    from core.inference.captioning import caption_rows
    from core.inference.night import NightOptions, read_night
    from core.inference.studies import StudyOptions, open_study
    from core.inference.tasks import ModelChoice
    from core.psg.simulate.night import NightOptions as SimulatedOptions
    from core.psg.simulate.night import simulate_night
    from core.psg.simulate.write_edf import write_night

    simulated = simulate_night(0, SimulatedOptions(hours=TEST_HOURS))
    study = open_study(write_night(simulated, folder, "test"), StudyOptions(look_for_scoring=False))
    night = read_night(study, ModelChoice(model, chosen).engine(), NightOptions(use_scoring=False))
    rows = list(caption_rows(study, night))
    lengths = np.linalg.norm(night.embeddings, axis=1) if night.embeddings is not None else np.zeros(1)
    if not np.allclose(lengths, 1.0, atol=1e-3):
        return "embeddings are no unit vectors"
    if any(not text for row in rows for text in row.captions.values()):
        return "a caption is empty"
    rates = [row.measurements["beat_rate"] for row in rows if "beat_rate" in row.measurements]
    true = len(simulated.truth.beats) / (TEST_HOURS * 60)
    if not rates or abs(np.mean(rates) - true) > BEATS:
        return "the heart rate is not the simulated one"
    return ""
