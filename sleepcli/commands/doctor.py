"""`sleepcli doctor`: is this installation sound, and what cures it where it is not."""

import platform
import shutil
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import typer

from core.errors import SleepcliError
from sleepcli import options, ui

PACKAGES = (
    "sleepcli", "numpy", "scipy", "edfio", "pyedflib", "mne", "soxr", "sleepecg", "tokenizers",
    "onnxruntime-gpu", "onnxruntime", "torch", "onnx",
)  # fmt: skip
ROOMS = ("core", "training", "export", "sleepcli")
OPTIONAL = ("onnxruntime-gpu", "onnxruntime", "torch", "onnx")
DISK_GIB = 2.0
"""Free space below which a library of prepared studies soon fails (an 8-hour night takes about 80 MB)."""


@dataclass(frozen=True)
class Finding:
    """One line of the examination."""

    what: str
    state: str
    """`ok`, `note` or `problem`."""
    found: str
    cure: str = ""


def doctor(json: options.Json = False, device: options.Device = "auto") -> None:
    """Examine the installation: versions, device, models, disk, and a short self-test.

    [bold]Examples[/]

      sleepcli doctor

      sleepcli doctor --json
    """
    findings = [*_packages(), *_rooms(), _disk(), *_models(), *_device(device)]
    if ui.wants_json(json):
        ui.json_lines(vars(finding) for finding in findings)
    else:
        rows = [[finding.what, finding.state, finding.found, finding.cure] for finding in findings]
        ui.table("sleepcli doctor", ["what", "state", "found", "what to do"], rows)
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(3)


def _packages() -> list[Finding]:
    findings = [Finding("python", "ok", platform.python_version())]
    runtimes = 0
    for package in PACKAGES:
        try:
            found = version(package)
        except PackageNotFoundError:
            if package not in OPTIONAL:
                findings.append(Finding(package, "problem", "missing", f"pip install {package}"))
            continue
        runtimes += package.startswith("onnxruntime")
        findings.append(Finding(package, "ok", found))
    if runtimes == 0:
        findings.append(Finding("onnxruntime", "problem", "missing", "pip install onnxruntime-gpu"))
    if runtimes == 2:
        cure = "pip uninstall onnxruntime onnxruntime-gpu && pip install onnxruntime-gpu"
        findings.append(Finding("onnxruntime", "problem", "two builds in one place", cure))
    return findings


def _rooms() -> list[Finding]:
    """The four top-level packages must come from one installation: other projects use such names too."""
    home = Path(__file__).resolve().parents[2]
    findings = []
    for room in ROOMS:
        spec = find_spec(room)
        origin = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        if origin is None or origin.parent.parent != home:
            cure = "Install sleepcli in a virtual environment of its own."
            findings.append(Finding(f"package {room}", "problem", f"another project's, in {origin}", cure))
    return findings or [Finding("top-level packages", "ok", "no name clash")]


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    found = f"{free:.0f} GiB free here"
    return Finding("disk", "ok", found) if free >= DISK_GIB else Finding("disk", "note", found, "Free some space.")


def _models() -> list[Finding]:
    from core.inference.bundle import installed_models, load_bundle

    findings = []
    for name in installed_models():
        try:
            bundle = load_bundle(name)
        except SleepcliError as error:
            findings.append(Finding(f"model {name}", "problem", error.message, error.hint))
        else:
            findings.append(Finding(f"model {name}", "ok", f"sha256 {bundle.content_hash[:12]}"))
    return findings or [Finding("models", "problem", "none", "Reinstall sleepcli, or give --model DIR.")]


def _device(device: str) -> list[Finding]:
    """Run a model on noise: the result is a unit vector on every device that works."""
    import numpy as np
    import onnxruntime

    from core.inference.bundle import installed_models, load_bundle
    from core.inference.engine import Engine

    providers = ", ".join(onnxruntime.get_available_providers())
    findings = [Finding("onnxruntime providers", "ok", providers)]
    for name in list(installed_models())[:1]:
        try:
            bundle = load_bundle(name)
            engine = Engine(bundle, device=device)
            shape = (2, len(bundle.channels), bundle.samples)
            noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
            embeddings, _ = engine.encode(noise, np.ones(shape[:2], np.float32))
            texts = engine.embed_texts(["Deep sleep."])
        except SleepcliError as error:
            findings.append(Finding("self-test", "problem", error.message, error.hint))
            continue
        lengths = np.linalg.norm(np.concatenate([embeddings, texts]), axis=1)
        sound = bool(np.allclose(lengths, 1.0, atol=1e-3))
        state, cure = ("ok", "") if sound else ("problem", "Reinstall the model and onnxruntime.")
        findings.append(Finding("self-test", state, f"{name} on {engine.device}", cure))
    return findings
