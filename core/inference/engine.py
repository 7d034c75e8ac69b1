"""ONNX Runtime sessions of a bundle: signals and texts to embeddings, and the steps of the text decoder."""

import ctypes
import ctypes.util
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from core.errors import ModelError, UsageError
from core.inference.bundle import Bundle
from core.language.tokenizer import Tokenizer

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_BATCH = {"cpu": 16, "cuda": 256}  # epochs held at a time
LANES = 64  # epochs or texts of every call on CUDA, filled up where there are fewer: see `Engine.fixed_shapes`
CACHES = ("text_k", "text_v", "self_k", "self_v", "cross_k", "cross_v")
GROWING_CACHES = CACHES[:4]
_SILENT = 4  # ONNX Runtime's severity "fatal": nothing below it is printed


@dataclass(frozen=True)
class DecoderState:
    """What the decoder remembers of the rows that it is writing."""

    logits: NDArray[np.float32]
    """[B, V] scores of the next token."""
    position: int
    """Index in the text of the token that comes next (the start token is 0)."""
    caches: dict[str, Any]
    """ONNX Runtime values by cache name, [layers, B, heads, length, width], kept on the device."""


class Engine:
    """Runs a bundle's graphs; sessions are made when first needed.

    Parameters
    ----------
    bundle
        The model.
    device
        `cpu`, `cuda`, or `auto` for CUDA where it works and the CPU elsewhere.
    batch
        Epochs encoded at a time; 0 for the device's default. It bounds memory and changes no result.
    threads
        CPU threads; 0 for all that this process may use.

    Raises
    ------
    UsageError
        An unknown device, or CUDA asked for where it cannot be had.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", batch: int = 0, threads: int = 0) -> None:
        if device not in DEVICES:
            raise UsageError(f"There is no device {device!r}.", f"Choose one of {', '.join(DEVICES)}.")
        if batch < 0 or threads < 0:
            raise UsageError("The batch size and the number of threads must not be negative.")
        self.bundle = bundle
        self.threads = threads or usable_cpus()
        absent = _why_no_cuda() if device != "cpu" else ""
        if device == "cuda" and absent:
            raise UsageError(f"CUDA cannot be used: {absent}.", "Use --device cpu, or install sleepcli[gpu].")
        self.device = "cuda" if device != "cpu" and not absent else "cpu"
        """`cpu` or `cuda`: what is used."""
        self.device_note = f"CPU is used: {absent}" if device == "auto" and absent else ""
        """Why `auto` fell back; empty where it did not."""
        self.fixed_shapes = self.device == "cuda"
        """Whether every call has the same shape. cuBLAS chooses its kernels by shape, and their sums differ in the last
        bits; the CPU's kernels sum each row in one way, whatever the batch."""
        self._strict_device = device == "cuda"
        self._sessions: dict[str, Any] = {}
        self._texts: dict[str, NDArray[np.float32]] = {}
        self._tokenizer: Tokenizer | None = None
        ort.set_default_logger_severity(_SILENT)
        if self.device == "cuda":
            self._session("signal_encoder")  # settles the device before anything is reported
        self.batch = batch or DEFAULT_BATCH[self.device]

    @property
    def tokenizer(self) -> Tokenizer:
        """The bundle's tokenizer; ModelError where the model embeds signals only."""
        if self.bundle.tokenizer is None:
            raise ModelError(
                f"The model {self.bundle.name} has no tokenizer, so it embeds signals but reads and writes no text.",
                "Import it again with --merges, or choose another model.",
            )
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.load(self.bundle.tokenizer.path)
        return self._tokenizer

    @property
    def writes(self) -> bool:
        """Whether the bundle can write text."""
        return self.bundle.tokenizer is not None and {"decoder_prefill", "decoder_step"} <= set(self.bundle.graphs)

    def encode(
        self, signals: NDArray[np.float32], present: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode epochs.

        Parameters
        ----------
        signals
            [n, C, 1920] in the bundle's channel order.
        present
            [n, C], 1 where a channel is usable; None for all.

        Returns
        -------
        tuple
            Embeddings [n, D], L2-normalised, and decoder tokens [n, Q, W].
        """
        expected = (len(self.bundle.channels), self.bundle.samples)
        if signals.ndim != 3 or signals.shape[1:] != expected:
            raise ModelError(f"The model {self.bundle.name} takes epochs of shape {expected}, not {signals.shape[1:]}.")
        if present is None:
            present = np.ones(signals.shape[:2], np.float32)
        size = LANES if self.fixed_shapes else self.batch
        embeddings, tokens = [], []
        for first in range(0, len(signals), size):
            rows = slice(first, first + size)
            embedding, token = self._encoded(signals[rows], present[rows])
            embeddings.append(embedding)
            tokens.append(token)
        if not embeddings:
            return np.zeros((0, self.bundle.embed_dim), np.float32), np.zeros(
                (0, self.bundle.decoder_tokens, 1), np.float32
            )
        return np.concatenate(embeddings), np.concatenate(tokens)

    def _encoded(
        self, signals: NDArray[np.float32], present: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode one batch."""
        count = len(signals)
        if self.fixed_shapes:
            signals, present = filled_up(signals, LANES), filled_up(present, LANES)
        feeds = {"signals": np.ascontiguousarray(signals, np.float32)}
        if self.bundle.has_present_input:
            feeds["present"] = np.ascontiguousarray(present, np.float32)
        embedding, tokens = self._session("signal_encoder").run(["embedding", "decoder_tokens"], feeds)
        return embedding[:count], tokens[:count]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, each of them once in this engine's life.

        Returns
        -------
        ndarray
            [T, D] float32, L2-normalised.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        for first in range(0, len(new), LANES):
            some = new[first : first + LANES]
            ids = self.tokenizer.encode(some, self.bundle.context_length)
            if self.fixed_shapes:
                ids = filled_up(ids, LANES)
            (rows,) = self._session("text_encoder").run(["embedding"], {"token_ids": ids})
            self._texts.update(zip(some, rows[: len(some)], strict=True))
        if not texts:
            return np.zeros((0, self.bundle.embed_dim), np.float32)
        return np.stack([self._texts[text] for text in texts])

    def score(self, graph: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a graph of the night model: `features [B, T, F]` to scores [B, T, K]."""
        (scores,) = self._session(graph).run(["scores"], {"features": features})
        return np.asarray(scores, np.float32)

    def prefill(self, decoder_tokens: NDArray[np.float32], domains: NDArray[np.int64]) -> DecoderState:
        """Start one text a row: domain prefix and start token.

        Parameters
        ----------
        decoder_tokens
            [B, Q, W] from `encode`.
        domains
            [B] condition indexes.
        """
        start = np.full((len(domains), 1), self.tokenizer.start_id, np.int64)
        feeds: dict[str, NDArray[Any]] = {
            "decoder_tokens": decoder_tokens,
            "domain": domains.astype(np.int64),
            "token_ids": start,
        }
        outputs = self._bound("decoder_prefill", feeds, {}, CACHES)
        return DecoderState(outputs.pop("logits").numpy(), 1, outputs)

    def step(self, state: DecoderState, token_ids: NDArray[np.int64]) -> DecoderState:
        """Append one token a row, [B], and score the next."""
        feeds: dict[str, NDArray[Any]] = {
            "token_ids": token_ids.reshape(-1, 1).astype(np.int64),
            "position": np.array(state.position, np.int64),
        }
        outputs = self._bound("decoder_step", feeds, state.caches, GROWING_CACHES)
        logits = outputs.pop("logits").numpy()
        return DecoderState(logits, state.position + 1, {**state.caches, **outputs})

    def keep_rows(self, state: DecoderState, rows: NDArray[np.intp]) -> DecoderState:
        """Drop the rows that are finished; `rows` are the indexes to keep."""
        caches = {
            name: self._value(np.ascontiguousarray(value.numpy()[:, rows])) for name, value in state.caches.items()
        }
        return DecoderState(state.logits[rows], state.position, caches)

    def _bound(
        self, graph: str, feeds: dict[str, NDArray[Any]], caches: dict[str, Any], names: tuple[str, ...]
    ) -> dict[str, Any]:
        """Run with the caches left on the device; `names` are those of the outputs after the logits, in order."""
        session = self._session(graph)
        binding = session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name, value in caches.items():
            binding.bind_ortvalue_input(name, value)
        for output in session.get_outputs():
            binding.bind_output(output.name, "cpu" if output.name == "logits" else self.device)
        session.run_with_iobinding(binding)
        return dict(zip(("logits", *names), binding.get_outputs(), strict=True))

    def _value(self, array: NDArray[Any]) -> Any:  # an ort.OrtValue, which has no type stubs
        return ort.OrtValue.ortvalue_from_numpy(array, self.device, 0)

    def _session(self, graph: str) -> Any:  # an ort.InferenceSession
        if graph not in self._sessions:
            if graph not in self.bundle.graphs:
                raise ModelError(
                    f"The model {self.bundle.name} has no {graph.replace('_', ' ')}.", "Choose another model."
                )
            self._sessions[graph] = self._open(graph)
        return self._sessions[graph]

    def _open(self, graph: str) -> Any:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.log_severity_level = _SILENT
        providers: list[Any] = ["CPUExecutionProvider"]
        if self.device == "cuda":
            providers.insert(0, ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"}))
        try:
            session = ort.InferenceSession(str(self.bundle.graphs[graph].path), options, providers=providers)
        except Exception as error:  # ONNX Runtime's own classes share no base below it
            raise ModelError(
                f"The {graph.replace('_', ' ')} of the model in {self.bundle.folder} cannot be loaded "
                f"on {self.device}.",
                "Export it again, or try --device cpu.",
            ) from error
        if self.device == "cuda" and "CUDAExecutionProvider" not in session.get_providers():
            if self._strict_device:
                raise UsageError(
                    "CUDA cannot be used: ONNX Runtime does not find its CUDA and cuDNN libraries.",
                    "Use --device cpu, or install sleepcli[gpu].",
                )
            self.device = "cpu"
            self.fixed_shapes = False
            self.device_note = "CPU is used: ONNX Runtime does not find its CUDA and cuDNN libraries"
        return session


def filled_up(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Repeat the last row until there are `count`."""
    return np.concatenate([rows, np.repeat(rows[-1:], max(count - len(rows), 0), axis=0)])


def usable_cpus() -> int:
    """Count the CPUs that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _why_no_cuda() -> str:
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
