"""Whether a Matroska or WebM file is one: a second one behind it is heard, and stands in no header.

Layout: RFC 8794, section 4 (sizes), and RFC 9559 (the segment).
"""

from __future__ import annotations

MAGIC = b"\x1a\x45\xdf\xa3"
_SEGMENT = b"\x18\x53\x80\x67"
_SLACK_BYTES = 4096


def is_whole(head: bytes, size_bytes: int) -> bool:
    """Tell whether the first segment reaches to the end of the file, as far as its header says."""
    size, length = _size(head, len(MAGIC))
    at = len(MAGIC) + length + size
    if head[at : at + 4] != _SEGMENT:
        return True
    size, length = _size(head, at + 4)
    is_unknown = size == (1 << 7 * length) - 1
    return is_unknown or at + 4 + length + size + _SLACK_BYTES >= size_bytes


def _size(head: bytes, at: int) -> tuple[int, int]:
    """Give a size as it is written, and how many bytes that takes."""
    if at >= len(head) or not head[at]:
        return 0, 0
    length = 9 - head[at].bit_length()
    return int.from_bytes(head[at : at + length]) & (1 << 7 * length) - 1, length
