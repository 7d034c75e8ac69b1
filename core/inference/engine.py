"""A model at work: signals and texts to embeddings, and the tokens of captions with their caches."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from core.errors import ModelError, UsageError
from core.inference.book import DraftBook
from core.inference.bundle import Bundle
from core.inference.decoder import Decoder
from core.inference.sessions import DEVICES, Sessions, usable_cpus
from core.language.context import Context, no_context
from core.language.facts import TIME_TOKENS
from core.language.tokenizer import Tokenizer

Item = TypeVar("Item")
Made = TypeVar("Made")
__all__ = ["DEVICES", "Engine", "filled_up"]

ENCODED = 8  # epochs of every call on the CPU: what lies between two layers stays in the processor's caches
LANES = 64  # epochs or texts of every call on CUDA, filled up where there are fewer: see `Engine.fixed_shapes`
LARGEST_BATCH = {"cpu": 32, "cuda": 256}  # epochs held at a time
SMALL_BATCH = 160  # the same of a small model on the CPU
LARGEST_ROWS = {"cpu": 256, "cuda": 1280}  # captions written at a time
SMALL_ROWS = 80  # the same of each of a small model's workers
CACHE_BYTES = {"cpu": 1 << 32, "cuda": 48 << 30}  # the caches of all of them at full length
TEXT_STEP = 16  # texts are padded to a multiple of so many tokens, each for itself
NUMBER = -1  # stands, in the book of drafts, for all times and numbers
KEPT_TEXTS = 4  # so many new texts at once are prompts, whose embeddings are kept on disk


class Engine:
    """Runs a bundle's graphs; sessions are made when first needed.

    Parameters
    ----------
    bundle
        The model.
    device
        `cpu`, `cuda`, or `auto` for CUDA where it works and the CPU elsewhere.
    batch
        Epochs encoded at a time; 0 for what suits device and model. It bounds memory and changes no result.
    threads
        CPU threads; 0 for all that this process may use.

    Raises
    ------
    UsageError
        An unknown device, or CUDA asked for where it cannot be had.
    """

    def __init__(self, bundle: Bundle, device: str = "auto", batch: int = 0, threads: int = 0) -> None:
        if batch < 0 or threads < 0:
            raise UsageError("The batch size and the number of threads must not be negative.")
        self.bundle = bundle
        self.threads = threads or usable_cpus()
        self._sessions = Sessions(bundle, device, self.threads)
        self.fixed_shapes = self.device == "cuda"
        """Whether every call has the same shape. cuBLAS chooses its kernels by shape, and their sums differ in the last
        bits; the CPU's kernels sum each row in one way, whatever the batch."""
        self._texts: dict[str, NDArray[np.float32]] = {}
        self._tokenizer: Tokenizer | None = None
        self._asked_batch = batch
        self._kinds: dict[int, int] = {}
        self.book = DraftBook(self._kind)
        """Texts that were written before."""
        self.decoder = Decoder(self._sessions, bundle.context_length, lambda: self.fixed_shapes)
        """What begins captions and appends tokens to them."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda`: what is used."""
        return self._sessions.device

    @property
    def device_note(self) -> str:
        """Why `auto` fell back; empty where it did not."""
        return self._sessions.note

    @property
    def small(self) -> bool:
        """Whether the model is served best by many small calls side by side."""
        return self._sessions.small

    def together(self, work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
        """Do some work on each item, several at a time where the model is small; give what is made, in order."""
        return self._sessions.together(work, items)

    @property
    def batch(self) -> int:
        """Epochs held at a time: as asked for, else as many as their captions may be written at once."""
        if self._asked_batch:
            return self._asked_batch
        if self.small:
            return SMALL_BATCH
        largest = LARGEST_BATCH[self.device]
        return min(largest, max(1, self.rows // len(self.bundle.domains))) if self.writes else largest

    @property
    def rows(self) -> int:
        """Captions written at a time by one worker, such that their caches stay within CACHE_BYTES."""
        config = self.bundle.description.get("config") or {}
        layers = int(config.get("text_layers", 1)) + int(config.get("decoder_layers", 1))
        number = 1 if self.bundle.description.get("caches") == "int8" else 4  # bytes of a key's or value's number
        each = 2 * number * layers * int(config.get("width", 1)) * self.bundle.context_length
        largest = SMALL_ROWS if self.small else LARGEST_ROWS[self.device]
        return max(1, min(largest, CACHE_BYTES[self.device] // each))

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

    def _kind(self, token: int) -> int:
        """Give the token itself, or NUMBER for a time or a number: what a text says next seldom depends on which."""
        if token not in self._kinds:
            text = self.tokenizer.decode([token]).strip()
            self._kinds[token] = NUMBER if text.isdecimal() or text in TIME_TOKENS else token
        return self._kinds[token]

    def encode(
        self,
        signals: NDArray[np.float32],
        present: NDArray[np.float32] | None = None,
        context: Context | None = None,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode epochs.

        Parameters
        ----------
        signals
            [n, C, 1920] in the bundle's channel order.
        present
            [n, C], 1 where a channel is usable; None for all.
        context
            What a model that is shown more than signals is shown of them; None for nothing.

        Returns
        -------
        tuple
            Embeddings [n, D], L2-normalised, and decoder tokens [n, Q, W].
        """
        bundle = self.bundle
        expected = (len(bundle.channels), bundle.samples)
        if signals.ndim != 3 or signals.shape[1:] != expected:
            raise ModelError(f"The model {bundle.name} takes epochs of shape {expected}, not {signals.shape[1:]}.")
        if present is None:
            present = np.ones(signals.shape[:2], np.float32)
        if context is None:
            context = no_context(len(signals), len(bundle.measured), len(bundle.courses))
        feeds = {"signals": signals}
        if bundle.has_present_input:
            feeds["present"] = present
        if bundle.measured:
            feeds |= {"values": context.values, "courses": context.courses}
        size = LANES if self.fixed_shapes else min(self.batch, ENCODED)
        parts = [slice(first, first + size) for first in range(0, len(signals), size)]
        made = list(self.together(lambda rows: self._encoded({k: v[rows] for k, v in feeds.items()}), parts))
        if not made:
            return np.zeros((0, bundle.embed_dim), np.float32), np.zeros((0, bundle.decoder_tokens, 1), np.float32)
        return np.concatenate([embedding for embedding, _ in made]), np.concatenate([tokens for _, tokens in made])

    def _encoded(self, feeds: dict[str, NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Encode one batch."""
        count = len(feeds["signals"])
        if self.fixed_shapes:
            feeds = {name: filled_up(value, LANES) for name, value in feeds.items()}
        whole = {name: np.ascontiguousarray(value, np.float32) for name, value in feeds.items()}
        embedding, tokens = self._sessions.get("signal_encoder").run(["embedding", "decoder_tokens"], whole)
        return embedding[:count], tokens[:count]

    def embed_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Embed texts, each of them once in this engine's life; sets of prompts are kept on disk by their hash.

        Returns
        -------
        ndarray
            [T, D] float32, L2-normalised.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._texts]
        rows = self._sessions.kept.texts(new) if len(new) >= KEPT_TEXTS else None
        if rows is not None:
            self._texts.update(zip(new, rows, strict=True))
        elif new:
            self._embed_new(new)
            if len(new) >= KEPT_TEXTS:
                self._sessions.kept.keep_texts(new, np.stack([self._texts[text] for text in new]))
        if not texts:
            return np.zeros((0, self.bundle.embed_dim), np.float32)
        return np.stack([self._texts[text] for text in texts])

    def _embed_new(self, texts: Sequence[str]) -> None:
        """Embed texts, those of one padded length together."""
        context = self.bundle.context_length
        ids = self.tokenizer.encode(texts, context)
        used = (ids != self.tokenizer.pad_id).sum(axis=1)
        lengths = np.minimum(-(-used // TEXT_STEP) * TEXT_STEP, context)
        for length in np.unique(lengths):
            group = np.flatnonzero(lengths == length)
            for first in range(0, len(group), LANES):
                some = group[first : first + LANES]
                feed = ids[some, :length]
                if self.fixed_shapes:
                    feed = filled_up(feed, LANES)
                (rows,) = self._sessions.get("text_encoder").run(
                    ["embedding"], {"token_ids": np.ascontiguousarray(feed)}
                )
                self._texts.update((texts[k], row) for k, row in zip(some, rows[: len(some)], strict=True))

    def score(self, graph: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Run a graph of the night model: `features [B, T, F]` to scores [B, T, K]."""
        (scores,) = self._sessions.get(graph).run(["scores"], {"features": features})
        return np.asarray(scores, np.float32)


def filled_up(rows: NDArray[Any], count: int) -> NDArray[Any]:
    """Repeat the last row until there are `count`."""
    return np.concatenate([rows, np.repeat(rows[-1:], max(count - len(rows), 0), axis=0)])
