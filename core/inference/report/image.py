"""A picture of few colours as a PNG file, without a library."""

import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def indexed_png(pixels: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """Encode a picture whose pixels are numbers of colours.

    Parameters
    ----------
    pixels
        [rows, columns] index of the colour; 0 is transparent.
    colours
        [n, 3] RGB, n at most 256.

    Returns
    -------
    bytes
        A PNG file of colour type 3 (PNG specification 11.2): the same bytes for the same picture.
    """
    rows, columns = pixels.shape
    header = struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)
    lines = np.zeros((rows, columns + 1), np.uint8)  # each line begins with its filter, 0: none
    lines[:, 1:] = pixels
    parts = (
        (b"IHDR", header),
        (b"PLTE", np.ascontiguousarray(colours, np.uint8).tobytes()),
        (b"tRNS", b"\x00"),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
