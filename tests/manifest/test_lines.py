"""Lines are read in blocks where that is safe, and the outcome is that of reading them one by one."""

from __future__ import annotations

import csv
import io

from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.random_examples import examples

from stemline.manifest import lines as under_test
from stemline.manifest.lines import PROBLEM, ROW, read_table


def read(text):
    table = read_table(io.StringIO(text, newline=""), is_tab_separated=False).read_all()
    return [tuple(row.values()) for row in table.to_pylist()]


PIECES = st.sampled_from(
    ["a,b", '"a","b"', '"a\nb",c', '"open,b', 'a,"open', 'in"side,b', "one", "a,b,c", "", '"a"x,b', "\0,b"]
)


@settings(max_examples=examples(300), deadline=None)
@given(pieces=st.lists(PIECES, max_size=8), block=st.integers(1, 5))
@example(pieces=['in"side,b', '"open,b', "a,b"], block=2)
def test_blocks_give_what_single_lines_give(pieces, block):
    text = "\n".join(pieces)
    careful = under_test._Lines(iter(()), again=under_test.deque(io.StringIO(text, newline="")))
    expected = list(under_test._rows(careful, ",", 2, 0))

    taken = under_test._Lines(iter(io.StringIO(text, newline="")))
    got, row = [], 0
    while lines := taken.take(block):
        records = under_test._block_records(lines, ",", 2)
        if records is None:
            taken.again.extend(lines)
            got += under_test._rows(taken, ",", 2, row)
        else:
            got += [(row + place, None, record) for place, record in enumerate(records, start=1)]
        row = got[-1][0] if got else 0

    assert [(number, problem, list(values)) for number, problem, values in got] == [
        (number, problem, list(values)) for number, problem, values in expected
    ]


@settings(deadline=None)
@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")), min_size=2, max_size=2
        )
    )
)
def test_what_the_csv_module_writes_is_read(rows):
    file = io.StringIO(newline="")
    csv.writer(file).writerows([["uri", "title"], *rows])

    filled = [tuple(row) for row in rows if any(map(str.strip, row))]
    assert [row[2:] for row in read(file.getvalue())] == filled


def test_columns_are_the_row_the_problem_and_the_values():
    reader = read_table(io.StringIO("uri,title\nx,y\n"), is_tab_separated=False)

    assert reader.schema.names == [ROW, PROBLEM, "uri", "title"]
    assert read("uri,title\nx,y\nz,a,b\n")[1][1].startswith("Row 2 has 3 values for 2 columns")
