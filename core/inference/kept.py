"""What one start of a model leaves for the next: optimised graphs and the embeddings of prompts.

They lie in `.kept` beside the bundle, or in the user's cache where the bundle's folder cannot be written. A folder's
name holds the digest of all that its content depends on; it appears whole under that name or not at all, whoever else
writes it at the same time, and every file in it is checked against its own digest. What a replaced model left beside
its bundle goes with the next thing that is kept, and so does what was used longest ago, beyond so many folders.
"""

import hashlib
import json
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.files import content_hash
from core.inference.bundle import Bundle

FOLDER = ".kept"
DIGESTS = "digests.json"
TEXTS = "texts"
LEFTOVER_SECONDS = 3600.0
MOST = 48  # folders of one root: some graphs and sets of prompts for some devices and versions of the runtime


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
        self._of_bundle = f"{bundle.content_hash[:12]}-"
        self._roots = (bundle.folder / FOLDER, user_cache_folder() / "models")

    def find(self, name: str) -> Path | None:
        """Give the folder that was left under a name, if it is whole."""
        for root in self._roots:
            folder = root / self._key(name)
            if _is_whole(folder):
                with suppress(OSError):  # where nothing can be written, nothing is removed either
                    os.utime(folder)
                return folder
        return None

    def forget(self, name: str) -> None:
        """Remove what was left under a name, where that can be done."""
        for root in self._roots:
            shutil.rmtree(root / self._key(name), ignore_errors=True)

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
        with suppress(OSError), self.writing(_texts_name(texts)) as folder:  # a full disk keeps nothing
            if folder is not None:
                np.save(folder / f"{TEXTS}.npy", rows)

    def _key(self, name: str) -> str:
        return self._of_bundle + hashlib.sha256(f"{self._about} {name}".encode()).hexdigest()[:28]

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
            self._remove_old(folder.parent)
        except OSError:
            return  # nothing is kept, and the next start does it again

    def _remove_old(self, root: Path) -> None:
        """Remove what a replaced bundle left beside it, and what was used longest ago of too many."""
        folders = sorted((path for path in root.iterdir() if not path.name.startswith(".")), key=_last_used)
        others = [path for path in folders if root == self._roots[0] and not path.name.startswith(self._of_bundle)]
        kept = [path for path in folders if path not in others]
        for folder in (*others, *kept[: max(len(kept) - MOST, 0)]):
            shutil.rmtree(folder, ignore_errors=True)


def _remove_leftovers(root: Path) -> None:
    """Remove what killed starts left half done."""
    for folder in root.glob(".part-*"):
        if time.time() - folder.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another process has just removed it
        return 0.0


def _texts_name(texts: Sequence[str]) -> str:
    return f"{TEXTS} {hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()}"


def _is_whole(folder: Path) -> bool:
    try:
        digests = json.loads((folder / DIGESTS).read_text(encoding="utf-8"))
        return bool(digests) and all(content_hash(folder / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False
