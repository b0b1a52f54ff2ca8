"""Picture files that cost much more than their size suggests."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

START_OF_SCAN = b"\xff\xda"
END = b"\xff\xd9"


def progressive_jpeg(side, repetitions, pixels=None):
    """A progressive JPEG whose last scan, some bytes long, is there more often."""
    pixels = np.zeros((side, side, 3), np.uint8) if pixels is None else pixels
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", progressive=True, quality=50)
    whole = file.getvalue()
    last = whole.rindex(START_OF_SCAN)
    # The scan is repeated with the Huffman table before it.
    return whole[:-2] + whole[last:-2] * repetitions + END


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(side, bits=8, interlaced=False, texts=0):
    """A black PNG in RGB, before its pixels compressed texts of 7.9 MB each."""
    compressor = zlib.compressobj(1)
    row = bytes(1 + 3 * side * bits // 8)
    rows = [compressor.compress(row) for _ in range(side * (1 + interlaced))]
    header = struct.pack(">IIBBBBB", side, side, bits, 2, 0, 0, interlaced)
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(7_900_000))) if texts else b""
    parts = [
        chunk(b"IHDR", header),
        text * texts,
        chunk(b"IDAT", b"".join(rows) + compressor.flush()),
        chunk(b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)
