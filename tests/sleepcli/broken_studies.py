"""Ten kinds of studies that no program can read, and small ones that it can; names are planted in all of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.core.psg.edf_files import Signal, annotation_signal, edf_bytes, time_keeping

PLANTED = "Quillon^Patient"
RATE = 64


def small_study(path: Path, seed: int, epochs: int = 2, label: str = "EEG C3-M2", **fields: str) -> Path:
    """Write an EDF+ of noise with names in every field and annotation that can hold one."""
    values = 30 * np.random.default_rng(seed).standard_normal((30 * epochs, RATE))
    planted = {"transducer": f"{PLANTED} electrode", "prefilter": PLANTED, "reserved": PLANTED}
    samples = np.clip(values * 327.68, -32768, 32767).astype(np.int32)
    notes = ("awake", "Sleep stage {}", "Obstructive apnea {}", "Lights off {}", "{}")
    texts = [note.format(PLANTED) if "{" in note else f"{PLANTED} {note}" for note in notes]
    lists = "".join(f"+{3 + number}\x155\x14{text}\x14\x00" for number, text in enumerate(texts)).encode()
    keeper = annotation_signal(time_keeping([str(second) for second in range(30 * epochs)], [lists]), 150)
    keeper.fields.update(planted)
    head = {
        "patient": f"{PLANTED} M 01-JAN-1950 {PLANTED} {PLANTED}",
        "recording": f"Startdate 02-MAR-2021 {PLANTED} {PLANTED} {PLANTED}",
        "reserved": f"EDF+C {PLANTED}",
    }
    path.write_bytes(edf_bytes([Signal(label, samples, planted), keeper], **{**head, **fields}))
    return path


def _empty(path: Path) -> None:
    path.touch()


def _noise(path: Path) -> None:
    path.write_bytes(np.random.default_rng(5).bytes(5000))


def _text(path: Path) -> None:
    path.write_text(f"This is the letter of {PLANTED} and no recording.\n" * 40)


def _cut_header(path: Path) -> None:
    path.write_bytes(small_study(path, 1).read_bytes()[:500])


def _header_alone(path: Path) -> None:
    path.write_bytes(small_study(path, 2).read_bytes()[:768])


def _huge_header(path: Path) -> None:
    small_study(path, 3, n_signals="9999", header_bytes="2560000")


def _endless_records(path: Path) -> None:
    small_study(path, 4, record_duration="99999999")


def _short(path: Path) -> None:
    path.write_bytes(small_study(path, 5).read_bytes()[: 768 + 20 * (RATE + 150) * 2])


def _no_channel(path: Path) -> None:
    small_study(path, 6, label="Room light")


def _pickle(path: Path) -> None:
    np.save(path.with_suffix(".npy"), np.array([{"patient": PLANTED}], object), allow_pickle=True)


BROKEN: tuple[Callable[[Path], None], ...] = (
    _empty, _noise, _text, _cut_header, _header_alone, _huge_header, _endless_records, _short, _no_channel, _pickle,
)  # fmt: skip
"""Each writes one kind; the pickled array takes the suffix .npy."""
