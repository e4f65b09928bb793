"""What a file looks like: text as text, images that are none but images, nothing else.

What a file is, its first bytes say and never its name: an SVG or HTML file would act on the hub's
pages, so it is shown as the text that it is.

Runs on: any thread.
"""

from __future__ import annotations

import codecs
import os
from typing import Any, BinaryIO

MAX_TEXT_BYTES = 256 * 1024
MAX_IMAGE_BYTES = 25 * 1024 * 1024
_HEAD_BYTES = 32
_SIGNATURES = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (4, b"ftypavif", "image/avif"),
)


def image_type(file: BinaryIO) -> str | None:
    """Return the content type of an image that browsers only draw; None when it is none.

    The file is at its beginning afterwards.
    """
    head = file.read(_HEAD_BYTES)
    file.seek(0)
    for offset, signature, kind in _SIGNATURES:
        if head[offset : offset + len(signature)] == signature:
            return kind if kind != "image/webp" or head.startswith(b"RIFF") else None
    return None


def preview_of(file: BinaryIO) -> dict[str, Any]:
    """Return what can be shown of a file.

    Returns:
        ``kind`` is ``text`` (with ``text``, and ``truncated`` when there is more), ``image``,
        ``large_image``, or ``other``; ``size`` in bytes.
    """
    size = os.fstat(file.fileno()).st_size
    if image_type(file) is not None:
        return {"kind": "image" if size <= MAX_IMAGE_BYTES else "large_image", "size": size}
    content = file.read(MAX_TEXT_BYTES)
    is_whole = size <= len(content)
    text = _text(content, is_whole)
    if text is None:
        return {"kind": "other", "size": size}
    return {"kind": "text", "text": text, "truncated": not is_whole, "size": size}


def _text(content: bytes, is_whole: bool) -> str | None:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", "replace")
    if b"\0" in content:
        return None
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        # Where it is cut off, a character may be cut in two.
        return decoder.decode(content, is_whole)
    except UnicodeDecodeError:
        return content.decode("latin-1") if _is_mostly_text(content) else None


def _is_mostly_text(content: bytes) -> bool:
    odd = sum(1 for byte in content[:4096] if byte < 32 and byte not in b"\t\n\r\f\x1b")
    return odd == 0
