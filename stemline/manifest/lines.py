"""Lines of csv, tsv and jsonl manifests as record batches; a broken line never costs its neighbours."""

from __future__ import annotations

import csv
import io
import json
import re
from array import array
from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import IO, cast

import pyarrow as pa

from stemline.manifest.manifest_source import LOCATION_NAMES
from stemline.manifest.passed_over import EMPTY_ROWS

ROW = "__stemline_row"
PROBLEM = "__stemline_problem"
LINE = "__stemline_line"
BATCH_ROWS = 5_000
_DELIMITERS = (",", ";", "\t", "|")
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_UTF32 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")
_HEAD_BYTES = 64
"""Of text in UTF-16 or UTF-32 a third and more of its first bytes are zeros."""
_NOT_UTF8 = "is not UTF-8 text: save the manifest as UTF-8."
_QUOTE_HINT = "put values that hold a delimiter, a quote or a line break in double quotes."
_SURPLUS_HINT = (
    "name the columns that are not in the header, or put a value that holds a delimiter in double quotes."
)
_STATED_DELIMITER = re.compile(r'"?sep=(.)"?[,;\t]*\s*$', re.IGNORECASE)
"""The first line by which Excel is told the delimiter."""
_LONGEST_FIELD = 8_388_608
"""In characters: lyrics, an analysis, artwork in base64. A quote that never closes is not read further than this."""
_TOO_LONG = "field larger than field limit"
"""What Python's csv says then."""
_DEEPEST = 100
_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]')
"""In JSON; those within texts go with these."""

_Row = tuple[int, str | None, Sequence[str | None]]
"""The 1-based row, what is wrong with it (None: nothing), its values."""
_Block = tuple[Sequence[int], Sequence[str | None], list[Sequence[str | None]]]
"""The same for many rows, column by column."""


@dataclass(slots=True)
class _Lines:
    """Lines that can be put back, and what was taken since `taken` was last cleared."""

    source: Iterator[str]
    taken: list[str] = field(default_factory=list)
    again: deque[str] = field(default_factory=deque)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self.again.popleft() if self.again else next(self.source)
        self.taken.append(line)
        return line

    def take(self, count: int) -> list[str]:
        """Give the next lines at once; they do not count as taken."""
        back = [self.again.popleft() for _ in range(min(count, len(self.again)))]
        return back + list(islice(self.source, count - len(back)))


def text_of(stream: io.RawIOBase) -> IO[str]:
    """Give a byte stream as text: UTF-8 with or without a BOM, or UTF-16 with one.

    Bytes that are not UTF-8 become lone surrogates, so only their own row is lost.
    """
    buffered = io.BufferedReader(stream)
    head = buffered.peek(_HEAD_BYTES)[:_HEAD_BYTES]
    if head.startswith(_UTF32) or (not head.startswith(_UTF16) and head.count(0) * 3 >= len(head) > 0):
        raise UnicodeError("it is not UTF-8 text")
    encoding = "utf-16" if buffered.peek(2)[:2] in _UTF16 else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding=encoding, errors="surrogateescape", newline="")


def read_table(
    text: IO[str],
    *,
    is_tab_separated: bool,
    known: Collection[str] = LOCATION_NAMES,
    passed_over: Counter[str] | None = None,
) -> pa.RecordBatchReader:
    """Give the rows of a csv or tsv with a header: `ROW`, `PROBLEM`, then every column as text.

    Empty lines are no rows; rows without a single value are left out, and counted in `passed_over`. What a row lacks
    at its end is null, and empty cells beyond the last column are dropped, as spreadsheets write them. A row that does
    not parse, or has too many values, has a sentence in `PROBLEM` and no values; reading goes on with the line after
    its first. The delimiter is the one that makes a `known` name of the header, or else the most names.
    """
    csv.field_size_limit(_LONGEST_FIELD)
    lines = _Lines(iter(text))
    header = next((line for line in lines if line.strip()), "")
    delimiter = "\t" if is_tab_separated else _delimiter(header, known)
    if stated := _STATED_DELIMITER.match(header):
        delimiter, header = stated[1], next((line for line in lines if line.strip()), "")
    lines.again.appendleft(header)
    counted: Counter[str] = Counter() if passed_over is None else passed_over
    names = _column_names(next(csv.reader(lines, delimiter=delimiter), []))
    return _reader(_table_blocks(lines, delimiter, len(names), counted), names)


def read_objects(text: IO[str]) -> pa.RecordBatchReader:
    """Give the lines of a jsonl, unparsed: `ROW`, `PROBLEM`, `LINE`. Empty lines are no rows."""
    return _reader(_line_blocks(line for line in text if line.strip()), [LINE])


def _reader(blocks: Iterator[_Block], names: list[str]) -> pa.RecordBatchReader:
    schema = pa.schema([(ROW, pa.int64()), (PROBLEM, pa.string()), *((name, pa.string()) for name in names)])
    return pa.RecordBatchReader.from_batches(schema, (_batch(block, schema) for block in blocks))


def _delimiter(header: str, known: Collection[str]) -> str:
    cut = {delimiter: next(csv.reader([header], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    for delimiter, names in cut.items():
        if any(name.strip().lower() in known for name in names):
            return delimiter
    return max(cut, key=lambda delimiter: len(cut[delimiter]))


def _column_names(header: list[str]) -> list[str]:
    """Give each column a name of its own: an unnamed one its place, a repeated one a number."""
    if not _is_utf8("".join(header)):
        raise UnicodeError("its header is not UTF-8 text")
    seen: set[str] = set()
    names = []
    for place, written in enumerate(header, start=1):
        name = written.strip() or f"column_{place}"
        while name.lower() in seen:
            name = f"{name}_{place}"
        seen.add(name.lower())
        names.append(name)
    return names


def _line_blocks(lines: Iterator[str]) -> Iterator[_Block]:
    row = 0
    while block := list(islice(lines, BATCH_ROWS)):
        rows = range(row + 1, row + len(block) + 1)
        problems = [_object_problem(*each) for each in zip(rows, block, strict=True)]
        # A line that is no good is not looked at again.
        yield (
            rows,
            problems,
            [[line if problem is None else "" for line, problem in zip(block, problems, strict=True)]],
        )
        row += len(block)


def _object_problem(row: int, line: str) -> str | None:
    """Say what is wrong with a line of JSON that would end the scan, or that DuckDB knows no word for."""
    if (problem := _depth_problem(row, line)) is not None or "\\ud" not in line.lower():
        return problem
    try:
        told = json.dumps(json.loads(line), ensure_ascii=False)
    except (ValueError, RecursionError):
        return None  # it is told as what it is
    half = next((letter for letter in told if not _is_utf8(letter)), None)
    if half is None:
        return None
    return f"Row {row} holds half a character (\\u{ord(half):04x}): write the whole, or leave it out."


def _depth_problem(row: int, line: str) -> str | None:
    """Say that a line's lists and objects lie deeper in each other than a parser goes, which would end the scan."""
    if line.count("[") + line.count("{") <= _DEEPEST:
        return None
    depth = 0
    for token in _BRACKETS.finditer(line):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(token[0], 0)
        if depth > _DEEPEST:
            return f"Row {row} has lists or objects nested more than {_DEEPEST} deep."
    return None


def _table_blocks(lines: _Lines, delimiter: str, width: int, passed_over: Counter[str]) -> Iterator[_Block]:
    row = 0
    while block := lines.take(BATCH_ROWS):
        records = _block_records(block, delimiter, width)
        if records is None:
            lines.again.extend(block)
            rows = list(_rows(lines, delimiter, width, row))
        else:
            rows = [(number, None, record) for number, record in enumerate(records, start=row + 1)]
        row = rows[-1][0] if rows else row
        filled = [each for each in rows if each[1] is not None or not _is_empty(each[2])]
        passed_over[EMPTY_ROWS] += len(rows) - len(filled)
        if filled:
            numbers, problems, values = zip(*filled, strict=True)
            yield numbers, problems, list(zip(*values, strict=True))


def _is_empty(values: Sequence[str | None]) -> bool:
    """Tell whether a record is one that a spreadsheet leaves below or between the others."""
    return not any(text and not text.isspace() for text in values)


def _block_records(block: list[str], delimiter: str, width: int) -> list[list[str]] | None:
    """Give the records of lines that parse all together, several times faster; None: read them one by one."""
    text = "".join(block)
    if "\0" in text or text.count('"') % 2:
        return None
    try:
        records = [record for record in csv.reader(block, delimiter=delimiter, strict=True) if record]
    except csv.Error:
        return None
    if set(map(len, records)) <= {width}:
        return records
    fitted = [_fitted(record, width) for record in records]
    return None if any(record is None for record in fitted) else cast("list[list[str]]", fitted)


def _fitted(record: list[str], width: int) -> list[str] | None:
    """Give a record with as many values as there are columns; None: it has more."""
    if any(record[width:]):
        return None
    return record[:width] + [""] * (width - len(record))


def _rows(lines: _Lines, delimiter: str, width: int, row: int) -> Iterator[_Row]:
    """Give the rows of the lines that were put back, and of those that the last of them needs."""
    nothing: list[str | None] = [None] * width
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while lines.again:
        lines.taken.clear()
        values, problem = _next_record(reader, width)
        if not values and problem is None:
            continue
        row += 1
        if any("\0" in line for line in lines.taken):
            problem = "holds NUL bytes; save the manifest as UTF-8 text."
        if problem is None:
            yield row, None, values
            continue
        yield row, f"Row {row} {problem}", nothing
        # A quote that never closes swallows good lines: only the first is lost.
        lines.again.extendleft(reversed(lines.taken[1:]))
        reader = csv.reader(lines, delimiter=delimiter, strict=True)


def _next_record(reader: Iterator[list[str]], width: int) -> tuple[Sequence[str | None], str | None]:
    """Give the next record and what is wrong with it; an empty line is an empty record."""
    try:
        values = next(reader, [])
    except csv.Error as error:
        if _TOO_LONG in str(error):
            return (), f"has a cell of more than {_LONGEST_FIELD >> 20} MiB, or a quote that never closes."
        return (), f"is no valid csv ({error}); {_QUOTE_HINT}"
    if not values or len(values) == width:
        return values, None
    fitted = _fitted(values, width)
    if fitted is None:
        return (), f"has {len(values)} values for {width} columns; {_SURPLUS_HINT}"
    return fitted, None


def _batch(block: _Block, schema: pa.Schema) -> pa.RecordBatch:
    try:
        return _arrays(block, schema)
    except UnicodeEncodeError:
        rows = [_utf8_only(row) for row in zip(block[0], block[1], zip(*block[2], strict=True), strict=True)]
        numbers, problems, values = zip(*rows, strict=True)
        return _arrays((numbers, problems, list(zip(*values, strict=True))), schema)


def _arrays(block: _Block, schema: pa.Schema) -> pa.RecordBatch:
    columns = (block[1], *block[2])
    return pa.RecordBatch.from_arrays([int_array(block[0]), *map(text_array, columns)], schema=schema)


def int_array(values: Sequence[int]) -> pa.Array:
    """Give whole numbers as Arrow has them."""
    return pa.Array.from_buffers(pa.int64(), len(values), [None, pa.py_buffer(array("q", values))])


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Give texts as Arrow has them; raises UnicodeEncodeError for one that is not UTF-8.

    A few are built one by one: `pa.array` is ten times as fast, but it imports pandas first.
    """
    if len(values) >= BATCH_ROWS:
        return pa.array(list(values), pa.string())  # of a tuple it takes fifty times as long
    builder = pa.lib.StringBuilder()
    builder.append_values(values)
    return builder.finish()


def _utf8_only(row: _Row) -> _Row:
    number, problem, values = row
    if _is_utf8("".join(value or "" for value in values)):
        return row
    return number, problem or f"Row {number} {_NOT_UTF8}", [None] * len(values)


def _is_utf8(text: str) -> bool:
    """Tell whether text was UTF-8 where it came from: it holds no lone surrogate."""
    return not any("\ud800" <= letter <= "\udfff" for letter in text)
