"""Text to token ids and back: our own byte-pair tokenizer with slots and times, and the published model's."""

import gzip
import html
import json
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Backend

from core.errors import ModelError
from core.language.facts import SLOTS, TIME_TOKENS

PAD, START, END = "<pad>", "<start>", "<end>"
CONTROL_TOKENS = (PAD, START, END)
"""Padding 0, start 1, end 2."""

CLIP_VOCABULARY = 49408
CLIP_MERGES = CLIP_VOCABULARY - 2 * 256 - 2
"""48,894: the vocabulary less each byte, each byte that ends a word, and the two control tokens."""
CLIP_CONTEXT = 256
CLIP_START, CLIP_END = "<|startoftext|>", "<|endoftext|>"
_CLIP_WORD = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+"
_WORD = r"(?<=\d)\.\d|(?<=\.\d)\d| ?\d{1,3}| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+"
"""Up to three digits together with the space before them; a point with the digit after it; letters; other marks."""
_SPACE = "Ġ"
"""How byte-level vocabularies write a space."""
_FORMAT = 1


class Tokenizer:
    """A byte-pair tokenizer with its start, end and padding ids and its context length.

    Parameters
    ----------
    backend
        The rules and vocabulary.
    kind
        `bpe` (our own, with slot and time tokens) or `clip` (the published model's).
    context_length
        Length to which texts are padded or cut, start and end included.
    """

    pad_id = 0

    def __init__(self, backend: Backend, kind: str, context_length: int) -> None:
        self.kind = kind
        self.context_length = context_length
        self._backend = backend
        start, end = (CLIP_START, CLIP_END) if kind == "clip" else (START, END)
        self.start_id = _known_id(backend, start)
        self.end_id = _known_id(backend, end)
        self.vocab_size: int = backend.get_vocab_size()
        added = backend.get_added_tokens_decoder() if kind == "bpe" else {}
        self._whole = {
            place: str(token.content) for place, token in added.items() if token.content not in CONTROL_TOKENS
        }

    def ids(self, text: str) -> list[int]:
        """The token ids of a text, without start and end."""
        if self.kind == "clip":
            text = clean(text)
        found: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return found

    def encode(self, texts: Sequence[str], context_length: int | None = None) -> NDArray[np.int64]:
        """Token ids with start and end, padded with zeros; a text that is too long is cut and keeps its end.

        Parameters
        ----------
        texts
            B texts.
        context_length
            Length of a row; by default the tokenizer's own.

        Returns
        -------
        NDArray[np.int64]
            `[B, context_length]`.
        """
        length = self.context_length if context_length is None else context_length
        rows = np.full((len(texts), length), self.pad_id, dtype=np.int64)
        for row, text in zip(rows, texts, strict=True):
            ids = [self.start_id, *self.ids(text)[: max(length - 2, 0)], self.end_id][:length]
            row[: len(ids)] = ids
        return rows

    def decode(self, ids: Iterable[int]) -> str:
        """The text of token ids up to the first end token; start, padding and ids out of range are left out.

        Our own tokenizer's slot and time tokens come back as they are written, with a space before them.
        """
        text = ""
        run: list[int] = []
        for token in (int(value) for value in ids):
            if token == self.end_id:
                break
            if token in (self.start_id, self.pad_id) or not 0 <= token < self.vocab_size:
                continue
            if token in self._whole:
                text = f"{(text + self._run(run)).rstrip()} {self._whole[token]}"
                run = []
            else:
                run.append(token)
        return (text + self._run(run)).strip()

    def _run(self, ids: list[int]) -> str:
        decoded: str = self._backend.decode(ids, skip_special_tokens=False) if ids else ""
        return decoded

    def whole_numbers(self) -> dict[int, int]:
        """The tokens that are a whole number, with or without a space before it, and that number."""
        bare = {place: word.removeprefix(_SPACE) for word, place in self._backend.get_vocab().items()}
        return {place: int(bare[place]) for place in sorted(bare) if bare[place].isascii() and bare[place].isdecimal()}

    def save(self, path: Path) -> None:
        """Write the tokenizer as one JSON file."""
        content = {
            "format": _FORMAT,
            "kind": self.kind,
            "context_length": self.context_length,
            "tokenizer": json.loads(self._backend.to_str()),
        }
        path.write_text(json.dumps(content, ensure_ascii=False, sort_keys=True), encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        """Read a tokenizer that `save` wrote.

        Raises
        ------
        ModelError
            The file is missing, damaged, or of another format.
        """
        try:
            content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if content["format"] != _FORMAT or content["kind"] not in ("bpe", "clip"):
                raise ValueError("format")
            backend = Backend.from_str(json.dumps(content["tokenizer"]))
            return cls(backend, content["kind"], int(content["context_length"]))
        except ModelError:
            raise
        except OSError as error:
            raise ModelError(f"The tokenizer file {path.name} cannot be read.", "Make the bundle again.") from error
        except Exception as error:  # the tokenizers library raises bare Exception for a bad file
            raise ModelError(f"The tokenizer file {path.name} is damaged.", "Make the bundle again.") from error


def _known_id(backend: Backend, token: str) -> int:
    found = backend.token_to_id(token)
    if found is None:
        raise ModelError(f"The tokenizer has no token {token}.", "Make the bundle again.")
    return int(found)


def clean(text: str) -> str:
    """CLIP's cleaning without ftfy: HTML entities undone twice, white space collapsed, lower case."""
    return " ".join(html.unescape(html.unescape(text)).split()).lower()


def train_tokenizer(texts: Iterable[str], vocab_size: int, context_length: int) -> Tokenizer:
    """Learn a byte-level byte-pair vocabulary from captions; the same texts in the same order give the same file.

    Text is lower-cased; a whole number of up to three digits is one word, a point with the digit after it another;
    every slot and time token is one token.

    Parameters
    ----------
    texts
        Captions and search sentences, with or without slots.
    vocab_size
        Size of the vocabulary with the 256 bytes and the special tokens; smaller where the texts give no more merges.
    context_length
        Length of an encoded row.
    """
    backend = Backend(models.BPE())
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORD), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    specials = [AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS]
    specials += [AddedToken(token, special=True, normalized=False, lstrip=True) for token in (*SLOTS, *TIME_TOKENS)]
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=specials,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer=trainer)
    return Tokenizer(backend, "bpe", context_length)


def _merge_lines(merges: Path) -> list[str]:
    try:
        content = merges.read_bytes()
        text = (gzip.decompress(content) if merges.suffix == ".gz" else content).decode("utf-8")
        return text.split("\n")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise ModelError(
            f"The merge table {merges.name} cannot be read.", "Give bpe_simple_vocab_16e6.txt.gz as open_clip ships it."
        ) from error


def _byte_symbols() -> list[str]:
    """The 256 bytes as printable characters, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + place) for place in range(len(others))]


def clip_tokenizer(merges: Path) -> Tokenizer:
    """The published model's tokenizer from CLIP's merge table.

    The vocabulary is the 256 bytes, the 256 bytes that end a word, one token a merge and the two control tokens; the
    table's first line is a heading, and at most its first 48,894 merges are used.

    Parameters
    ----------
    merges
        `bpe_simple_vocab_16e6.txt.gz`, or the same unpacked.

    Raises
    ------
    ModelError
        The file cannot be read or holds no merges.
    """
    lines = [line.split() for line in _merge_lines(merges)[1 : CLIP_MERGES + 1] if line.strip()]
    if not lines or any(len(line) != 2 for line in lines):
        raise ModelError(f"The merge table {merges.name} is not one of CLIP's.", "Each line holds two symbols.")
    pairs = [(line[0], line[1]) for line in lines]
    symbols = _byte_symbols()
    words = [*symbols, *(f"{symbol}</w>" for symbol in symbols), *("".join(pair) for pair in pairs)]
    words += [CLIP_START, CLIP_END]
    vocabulary = {word: place for place, word in enumerate(words)}
    backend = Backend(models.BPE(vocabulary, pairs, end_of_word_suffix="</w>"))
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_CLIP_WORD), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.Sequence([decoders.ByteLevel(), decoders.Replace("</w>", " ")])
    return Tokenizer(backend, "clip", CLIP_CONTEXT)
