"""What one start of a model leaves for the next: optimised graphs and the embeddings of prompts.

They lie in `.kept` beside the bundle, or in the user's cache where the bundle's folder cannot be written. A folder's
name holds the digest of all that its content depends on; it appears whole under that name or not at all, whoever else
writes it at the same time, and every file in it is checked against its own digest.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.files import content_hash
from core.inference.bundle import Bundle

FOLDER = ".kept"
DIGESTS = "digests.json"
TEXTS = "texts"
LEFTOVER_SECONDS = 3600.0


def user_cache_folder() -> Path:
    """Folder of the user's cache: SLEEPCLI_CACHE, or the platform's."""
    if chosen := os.environ.get("SLEEPCLI_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sleepcli"


class KeptFiles:
    """Finds and leaves files of one bundle on one device.

    Parameters
    ----------
    bundle
        The model.
    device
        `cpu` or `cuda`.
    version
        Version of the runtime.
    """

    def __init__(self, bundle: Bundle, device: str, version: str) -> None:
        about = (bundle.content_hash, device, version, platform.machine(), platform.system())
        self._about = " ".join(about)
        self._roots = (bundle.folder / FOLDER, user_cache_folder() / "models")

    def find(self, name: str) -> Path | None:
        """Give the folder that was left under a name, if it is whole."""
        for root in self._roots:
            folder = root / self._key(name)
            if _is_whole(folder):
                return folder
        return None

    @contextmanager
    def writing(self, name: str) -> Iterator[Path | None]:
        """Give an empty folder that is kept under the name once the block ends well; None where no disk has room."""
        folder = self._new_folder()
        try:
            yield folder
            if folder is not None:
                self._put(folder, name)
        finally:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)

    def texts(self, texts: Sequence[str]) -> NDArray[np.float32] | None:
        """Give the embeddings `[T, D]` that were left for these texts, or None."""
        folder = self.find(_texts_name(texts))
        if folder is None:
            return None
        rows: NDArray[np.float32] = np.load(folder / f"{TEXTS}.npy", allow_pickle=False)
        return rows if len(rows) == len(texts) else None

    def keep_texts(self, texts: Sequence[str], rows: NDArray[np.float32]) -> None:
        """Leave the embeddings `[T, D]` of these texts; nothing of the texts themselves is written."""
        with self.writing(_texts_name(texts)) as folder:
            if folder is not None:
                np.save(folder / f"{TEXTS}.npy", rows)

    def _key(self, name: str) -> str:
        return hashlib.sha256(f"{self._about} {name}".encode()).hexdigest()[:40]

    def _new_folder(self) -> Path | None:
        for root in self._roots:
            try:
                root.mkdir(parents=True, exist_ok=True)
                _remove_leftovers(root)
                return Path(tempfile.mkdtemp(prefix=".part-", dir=root))
            except OSError:
                continue
        return None

    def _put(self, folder: Path, name: str) -> None:
        """Write the digests and give the folder its name; another process may have been faster."""
        try:
            digests = {path.name: content_hash(path) for path in sorted(folder.iterdir())}
            (folder / DIGESTS).write_text(json.dumps(digests), encoding="utf-8")
            target = folder.parent / self._key(name)
            if target.exists() and not _is_whole(target):
                shutil.rmtree(target, ignore_errors=True)
            folder.chmod(0o755)
            folder.rename(target)
        except OSError:
            return  # nothing is kept, and the next start does it again


def _remove_leftovers(root: Path) -> None:
    """Remove what killed starts left half done."""
    for folder in root.glob(".part-*"):
        if time.time() - folder.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _texts_name(texts: Sequence[str]) -> str:
    return f"{TEXTS} {hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()}"


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and all(content_hash(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False
