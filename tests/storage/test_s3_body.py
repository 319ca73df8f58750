from __future__ import annotations

import tracemalloc

from stemline.storage import s3_store

CHUNK = bytes(64 << 10)
MEGABYTE = 1 << 20


def test_an_object_of_one_part_is_held_once_while_it_is_stored():
    chunks = 7 * MEGABYTE // len(CHUNK)
    tracemalloc.start()
    try:
        body = s3_store._body(iter([CHUNK] * chunks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert bytes(body) == CHUNK * chunks
    assert peak < 9 * MEGABYTE


def test_an_object_of_more_parts_passes_on_with_what_was_gathered_in_front():
    chunks = [bytes([number]) * MEGABYTE for number in range(20)]

    body = s3_store._body(iter(chunks))

    assert not isinstance(body, memoryview)
    assert b"".join(bytes(part) for part in body) == b"".join(chunks)
