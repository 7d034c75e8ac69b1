"""The caption decoder's graphs at work: captions begun, and some tokens more of each, with their caches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.inference.onnx_runtime import ort
from core.inference.sessions import Sessions

ROW_STEP = 32  # caches grow by so many rows; sums over other lengths would be added up in another order
PREFIX_ROWS = 2  # of the decoder's own caches, before the text


@dataclass
class DecoderState:
    """What the decoder remembers of the captions that it is writing; every step changes it."""

    caches: dict[str, Any]
    """ONNX Runtime values by name, `[B, heads, rows, width]` each, on the device; the text tower's `[U, ...]`."""
    rows: int
    """Rows of the caches that grow; more than any caption has tokens."""
    text: NDArray[np.int64]
    """[B] the row of the text tower's caches that each caption has; captions that say the same so far share one."""

    @property
    def texts(self) -> int:
        """U, the different texts so far."""
        return int(self.text.max(initial=0)) + 1


@dataclass(frozen=True)
class Scores:
    """What may follow each token of a step."""

    token: NDArray[np.int64]
    """[B, T] likeliest next token, the lowest id among equals."""
    chance: NDArray[np.float32]
    """[B, T] its probability."""
    logits: NDArray[np.float32] | None
    """[B, T, V] scores of all tokens where they were asked for."""


class Decoder:
    """Runs the graphs `decoder_prefill` and `decoder_step` of a bundle.

    Parameters
    ----------
    sessions
        The bundle's graphs.
    context_length
        Most tokens of a caption.
    fixed_shapes
        Whether every call has the same shape: caches have all their rows from the start, and no text is shared.
    """

    def __init__(self, sessions: Sessions, context_length: int, fixed_shapes: Callable[[], bool]) -> None:
        self._sessions = sessions
        self._context_length = context_length
        self._fixed_shapes = fixed_shapes

    @cached_property
    def _inputs(self) -> dict[str, Any]:  # of ort.NodeArg, which has no type stubs
        """What a step takes, by name: each has a `shape` and a `type`."""
        return {given.name: given for given in self._sessions.get("decoder_step").get_inputs()}

    @property
    def one_by_one(self) -> bool:
        """Whether a step takes one token of each caption, as those over int8 caches do."""
        return bool(self._inputs["token_ids"].shape[1] == 1)

    @cached_property
    def _outputs(self) -> tuple[str, ...]:
        """What a step changes, by the names of its inputs."""
        names = [output.name for output in self._sessions.get("decoder_step").get_outputs()]
        return tuple(name for name in names if name.startswith("next_"))

    @cached_property
    def _no_bias(self) -> NDArray[np.float32]:
        return np.zeros((1, int(self._inputs["token_bias"].shape[1])), np.float32)

    @property
    def _shared(self) -> bool:
        """Whether captions that say the same share a text; in bundles of old graphs each has one of its own."""
        return "text" in self._inputs and not self._fixed_shapes()

    def start(
        self, decoder_tokens: NDArray[np.float32], epochs: NDArray[np.int64], domains: NDArray[np.int64], tokens: int
    ) -> DecoderState:
        """Start captions: their prefixes and what they see of the signal.

        Parameters
        ----------
        decoder_tokens
            [E, Q, W] from `Engine.encode`.
        epochs
            [B] row of `decoder_tokens` that each caption is about.
        domains
            [B] condition indexes.
        tokens
            Tokens that are sure to come; the caches grow beyond them when they must.
        """
        session = self._sessions.get("decoder_prefill")
        binding = session.io_binding()
        for name, array in (("decoder_tokens", decoder_tokens), ("epoch", epochs), ("domain", domains)):
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        names = [output.name for output in session.get_outputs()]
        for name in names:
            binding.bind_output(name, self._sessions.device if name.startswith("cross") else "cpu")
        session.run_with_iobinding(binding)
        made = dict(zip(names, binding.get_outputs(), strict=True))
        rows = _rows_for(self._context_length if self._fixed_shapes() else tokens)
        text = np.zeros(len(domains), np.int64) if self._shared else np.arange(len(domains))
        state = DecoderState({}, rows, text)
        for name, given in self._inputs.items():
            if name.startswith("cross"):
                state.caches[name] = made[name]
            elif name.startswith(("text_", "self_")):
                prefix = made[name].numpy() if name in made else None
                count = state.texts if name.startswith("text_") else len(domains)
                kind = np.int8 if given.type == "tensor(int8)" else np.float32
                empty = np.zeros((count, given.shape[1], rows, given.shape[3]), kind)
                state.caches[name] = self._value(_filled(empty, prefix))
        return state

    def step(
        self,
        state: DecoderState,
        token_ids: NDArray[np.int64],
        position: NDArray[np.int64],
        bias: NDArray[np.float32] | None = None,
        logits: bool = False,
        writing: NDArray[np.bool_] | None = None,
    ) -> Scores:
        """Append tokens to captions and score what follows each of them.

        Parameters
        ----------
        state
            Changed: the tokens' keys and values are written into its caches.
        token_ids
            [B, T], where the graph takes one token at a time [B, 1].
        position
            [B] tokens that stand before them in the caption (the start token has 0). What was written at or beyond
            a position before is forgotten.
        bias
            [1, V] added to the scores, such as -inf for what may not come; None for nothing.
        logits
            Whether the scores of all tokens are wanted.
        writing
            [B] captions that still go on; the scores of the others mean nothing from here on. None for all.
        """
        self._make_room(state, int(position.max(initial=0)) + token_ids.shape[1])
        session = self._sessions.get("decoder_step")
        feeds: dict[str, NDArray[Any]] = {"token_bias": self._no_bias if bias is None else bias}
        if "text" in self._inputs:
            token_ids, position = self._grouped(state, token_ids, position, writing)
            feeds["text"] = state.text
        feeds |= {"token_ids": token_ids, "position": position}
        binding = session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name, value in state.caches.items():
            binding.bind_ortvalue_input(name, value)
        wanted = ["token", "chance", *(["logits"] if logits else [])]
        for name in wanted:
            binding.bind_output(name, "cpu")
        for name in self._outputs:
            binding.bind_ortvalue_output(name, state.caches[name.removeprefix("next_")])
        session.run_with_iobinding(binding)
        found = dict(zip(wanted, binding.get_outputs()[: len(wanted)], strict=True))
        scores = found["logits"].numpy().reshape(*state.text.shape, token_ids.shape[1], -1) if logits else None
        return Scores(found["token"].numpy(), found["chance"].numpy(), scores)

    def keep_rows(self, state: DecoderState, rows: NDArray[np.intp]) -> DecoderState:
        """Give the state of some captions, once or several times each: `rows` are their indexes."""
        used, text = state.text[rows], np.arange(len(rows))
        if self._shared:
            used, text = np.unique(used, return_inverse=True)
        taken = {
            name: self._value(np.ascontiguousarray(value.numpy()[used if name.startswith("text_") else rows]))
            for name, value in state.caches.items()
        }
        return replace(state, caches=taken, text=text)

    def _grouped(
        self,
        state: DecoderState,
        token_ids: NDArray[np.int64],
        position: NDArray[np.int64],
        writing: NDArray[np.bool_] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Let the captions share what is the same of their texts; give its tokens `[U, T]` and positions `[U]`."""
        if not self._shared:
            return token_ids, position
        said = np.column_stack((state.text, position, token_ids))
        if writing is not None and writing.any():
            said[~writing] = said[np.argmax(writing)]
        firsts, state.text = _alike(said)
        texts = said[firsts]
        sources = texts[:, 0]
        for name, value in state.caches.items():
            if name.startswith("text_") and not np.array_equal(sources, np.arange(value.shape()[0])):
                state.caches[name] = self._value(np.ascontiguousarray(value.numpy()[sources]))
        return texts[:, 2:], texts[:, 1]

    def _make_room(self, state: DecoderState, tokens: int) -> None:
        rows = _rows_for(tokens)
        if rows <= state.rows:
            return
        for name, value in state.caches.items():
            if not name.startswith("cross"):
                old = value.numpy()
                longer = np.zeros((*old.shape[:2], rows, old.shape[3]), old.dtype)
                state.caches[name] = self._value(_filled(longer, old))
        state.rows = rows

    def _value(self, array: NDArray[Any]) -> Any:  # an ort.OrtValue, which has no type stubs
        return ort.OrtValue.ortvalue_from_numpy(array, self._sessions.device, 0)


def _alike(rows: NDArray[np.int64]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """Give where each different row stands first, and for each row the number of the one it is like."""
    known: dict[bytes, int] = {}
    numbers = np.array([known.setdefault(row.tobytes(), len(known)) for row in rows], np.int64)
    return np.unique(numbers, return_index=True)[1], numbers


def _rows_for(tokens: int) -> int:
    return -(-(tokens + PREFIX_ROWS) // ROW_STEP) * ROW_STEP


def _filled(new: NDArray[Any], old: NDArray[Any] | None) -> NDArray[Any]:
    """Let a cache begin, along axis 2, with an old one."""
    if old is not None:
        new[:, :, : old.shape[2]] = old
    return new
