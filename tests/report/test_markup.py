from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemline.report.markup import clipped, element, joined, text, with_code, without_secrets


class Reader(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.shown, self.values = [], "", []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.shown += data


PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=60)


@given(PRINTABLE, PRINTABLE)
def test_text_and_attributes_come_back_as_they_were_and_make_no_element(content, title):
    seen = Reader(element("p", content, title=title))
    assert seen.tags == ["p"]
    assert seen.shown == content
    assert seen.values == [title]


@given(st.text(max_size=60))
def test_any_text_can_be_written_to_a_file(content):
    text(content).encode("utf-8")


def test_elements_nest_unescaped():
    assert element("p", element("b", "a < b"), " & c") == "<p><b>a &lt; b</b> &amp; c</p>"


def test_attributes_are_named_as_html_names_them():
    made = element("td", class_="wide", data_label="Why", title=None)
    assert made == '<td class="wide" data-label="Why"></td>'


def test_joining_keeps_what_is_markup():
    assert joined("<", element("i"), ">") == "&lt;<i></i>&gt;"


def test_backticks_become_code_and_stay_escaped():
    assert with_code("run `a<b` now") == "run <code>a&lt;b</code> now"


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("s3://key:secret@bucket/a.mp3", "s3://bucket/a.mp3"),
        ("see https://a.example/b?token=1, please", "see https://a.example/b?… please"),
        ("https://youtu.be/abc", "https://youtu.be/abc"),
        ("https://www.youtube.com/watch?v=abc&t=3", "https://www.youtube.com/watch?v=abc"),
        ("https://[broken", "https://…"),
        ("/music/a?b.mp3", "/music/a?b.mp3"),
        ("https://a.example/b#token=1", "https://a.example/b"),
        ("cut off: ://key:secret@bucket/a.mp3?token=1", "cut off: ://bucket/a.mp3?…"),
    ],
)
def test_urls_lose_users_passwords_and_queries(content, shown):
    assert without_secrets(content) == shown


def test_a_word_of_a_million_letters_is_read_once():
    """As fingerprints and pictures in a manifest's cells are: to begin anew at each letter takes many minutes."""
    word = "z" * 1_000_000
    assert without_secrets(f"{word}://key:secret@bucket") == f"{word}://bucket"


def test_long_text_is_clipped():
    assert clipped("abcdef", 4) == "abc…"
    assert clipped("abcd", 4) == "abcd"


def test_marks_that_would_reach_over_the_lines_around_are_fewer_and_those_of_languages_stay():
    assert text("Z" + "\u0310" * 80 + "algo") == "Z" + "\u0310" * 3 + "algo"
    for word in ("Vie\u0302\u0323t", "\u05e9\u05c1\u05b8", "Gu\u0308\u0304"):
        assert text(word) == word
