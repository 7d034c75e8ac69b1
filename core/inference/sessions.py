"""ONNX Runtime sessions of a bundle: where they run, and their optimised graphs, kept for the next start."""

import ctypes
import ctypes.util
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from core.errors import ModelError, UsageError
from core.inference.bundle import Bundle
from core.inference.kept import KeptFiles
from core.inference.onnx_runtime import ort

Item = TypeVar("Item")
Made = TypeVar("Made")
DEVICES = ("auto", "cpu", "cuda")
SMALL_MODEL = 32 << 20  # bytes of weights that the processor's cache holds: small calls cost no more than large ones
ONCE_A_NIGHT = "night_"  # graphs that one long call reads a night with: it takes all threads
LARGEST_KEPT = 256 << 20  # bytes of weights; a larger graph takes longer to read twice than to optimise
_SILENT = 4  # ONNX Runtime's severity "fatal": nothing below it is printed
_CUDA = {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}
_NO_LIBRARIES = "ONNX Runtime does not find its CUDA and cuDNN libraries"


class Sessions:
    """The graphs of one bundle on one device, opened when first needed.

    Parameters
    ----------
    bundle
        The model.
    device
        `cpu`, `cuda`, or `auto` for CUDA where it works and the CPU elsewhere.
    threads
        CPU threads.

    Raises
    ------
    UsageError
        An unknown device, or CUDA asked for where it cannot be had.
    """

    def __init__(self, bundle: Bundle, device: str, threads: int) -> None:
        if device not in DEVICES:
            raise UsageError(f"There is no device {device!r}.", f"Choose one of {', '.join(DEVICES)}.")
        absent = why_no_cuda() if device != "cpu" else ""
        if device == "cuda" and absent:
            raise UsageError(f"CUDA cannot be used: {absent}.", "Use --device cpu, or install sleepcli[gpu].")
        self.bundle = bundle
        self.device = "cuda" if device != "cpu" and not absent else "cpu"
        """`cpu` or `cuda`: what is used."""
        self.note = f"CPU is used: {absent}" if device == "auto" and absent else ""
        """Why `auto` fell back; empty where it did not."""
        self.kept = KeptFiles(bundle, self.device, ort.__version__)
        """What an earlier start left for this one."""
        self.small = self.device == "cpu" and bundle.weight_bytes <= SMALL_MODEL
        """Whether the model is served best by many small calls side by side."""
        self.workers = threads if self.small else 1
        """Calls that run at the same time."""
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None
        self._opening = threading.Lock()
        self._strict = device == "cuda"
        self._open: dict[str, Any] = {}
        ort.set_default_logger_severity(_SILENT)
        if self.device == "cuda":
            self.get("signal_encoder")  # settles the device before anything is reported

    def get(self, graph: str) -> Any:  # an ort.InferenceSession, which has no type stubs
        """Give the session of a graph; ModelError where the bundle has none of that name or it cannot be loaded."""
        with self._opening:
            if graph not in self._open:
                if graph not in self.bundle.graphs:
                    raise ModelError(
                        f"The model {self.bundle.name} has no {graph.replace('_', ' ')}.", "Choose another model."
                    )
                self._open[graph] = self._opened(graph)
            return self._open[graph]

    def together(self, work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """Do some work on each item, as many at a time as there are workers; give what is made, in order."""
        if self.workers == 1:
            return map(work, items)
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.workers, "inference")
        return self._pool.map(work, items)

    def _opened(self, graph: str) -> Any:
        try:
            session = self._from_kept(graph) or self._from_bundle(graph)
        except Exception as error:  # ONNX Runtime's own classes share no base below it
            raise ModelError(
                f"The {graph.replace('_', ' ')} of the model in {self.bundle.folder} cannot be loaded "
                f"on {self.device}.",
                "Export it again, or try --device cpu.",
            ) from error
        if self.device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
            if self._strict:
                raise UsageError(
                    f"CUDA cannot be used: {_NO_LIBRARIES}.", "Use --device cpu, or install sleepcli[gpu]."
                )
            self.device = "cpu"
            self.note = f"CPU is used: {_NO_LIBRARIES}"
        return session

    def _from_kept(self, graph: str) -> Any:
        """Open the graph as an earlier start optimised it; None where there is none that is whole."""
        folder = self.kept.find(graph)
        if folder is None:
            return None
        options = self._options(graph, ort.GraphOptimizationLevel.ORT_DISABLE_ALL)
        try:
            return ort.InferenceSession(str(folder / f"{graph}.onnx"), options, providers=self._providers())
        except Exception:  # noqa: BLE001 - of another build of ONNX Runtime: the bundle's own graph serves
            self.kept.forget(graph)
            return None

    def _from_bundle(self, graph: str) -> Any:
        """Open the bundle's own graph and keep what ONNX Runtime makes of it, where that is worth it."""
        path = str(self.bundle.graphs[graph].path)
        if self.device != "cuda" and self.bundle.weight_bytes <= LARGEST_KEPT:
            try:
                with self.kept.writing(graph) as folder:
                    if folder is not None:
                        return ort.InferenceSession(path, self._keeping(folder, graph), providers=self._providers())
            except Exception:  # noqa: BLE001 - no room to write; what is wrong with the graph itself is told below
                self.kept.forget(graph)
        options = self._options(graph, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
        return ort.InferenceSession(path, options, providers=self._providers())

    def _keeping(self, folder: Path, graph: str) -> Any:
        """Give options with which a session leaves its optimised graph in a folder."""
        options = self._options(graph, ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
        options.optimized_model_filepath = str(folder / f"{graph}.onnx")
        entry = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{entry}_file_name", f"{graph}.bin")
        options.add_session_config_entry(f"{entry}_min_size_in_bytes", "1024")
        return options

    def _options(self, graph: str, level: Any) -> Any:
        options = ort.SessionOptions()
        once = graph.startswith(ONCE_A_NIGHT)
        options.intra_op_num_threads = self._threads if once else self._threads // self.workers
        if once:  # beside the decoder, whose workers need the processors while this one's threads wait
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = _SILENT
        options.graph_optimization_level = level
        return options

    def _providers(self) -> list[Any]:
        cuda: list[Any] = [("CUDAExecutionProvider", _CUDA)] if self.device == "cuda" else []
        return [*cuda, "CPUExecutionProvider"]


def usable_cpus() -> int:
    """Count the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def why_no_cuda() -> str:
    """Say in a few words why CUDA cannot be used; empty where it can."""
    if "CUDAExecutionProvider" not in ort.get_available_providers():
        return "this ONNX Runtime is built without CUDA"
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(name)
    except OSError:
        return "there is no NVIDIA driver on this machine"
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0 or count.value == 0:
        return "there is no NVIDIA GPU on this machine"
    ort.preload_dlls()
    return ""
