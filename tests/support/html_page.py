"""A page read as strictly as no browser does."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser

from stemline.records import State

VOID = {"meta", "link", "input", "br", "img", "hr"}
ATTACK = "<script>alert('owned')</script><img src=https://evil.example/x onerror=alert(1)>\"'&"


@dataclass
class Element:
    name: str
    attributes: dict[str, str | None]
    path: tuple[str, ...]
    text: str = ""

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())


@dataclass
class Page(HTMLParser):
    """A page read strictly: every element is closed in order."""

    source: str
    elements: list[Element] = field(default_factory=list)
    open_elements: list[Element] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.source)
        self.close()
        assert not self.open_elements, f"never closed: {[element.name for element in self.open_elements]}"

    def handle_starttag(self, tag, attrs):
        assert len(attrs) == len(dict(attrs)), f"an attribute stands twice in {tag}: {attrs}"
        element = Element(tag, dict(attrs), tuple(parent.name for parent in self.open_elements))
        self.elements.append(element)
        if tag not in VOID:
            self.open_elements.append(element)

    def handle_endtag(self, tag):
        assert self.open_elements, f"</{tag}> closes nothing"
        assert self.open_elements.pop().name == tag

    def handle_data(self, data):
        for element in self.open_elements:
            element.text += data

    def named(self, name):
        return [element for element in self.elements if element.name == name]

    def of_class(self, name):
        return [element for element in self.elements if name in element.classes]

    def table(self, name):
        """The rows of a table as dictionaries by column."""
        rows: list[dict[str, str]] = []
        for element in self.elements:
            if element.name == "table":
                is_wanted = name in element.classes
            if element.name == "tr" and "tbody" in element.path and is_wanted:
                rows.append({})
            if element.name == "td" and is_wanted:
                rows[-1][element.attributes.get("data-label") or f"column {len(rows[-1])}"] = element.text
        return rows

    def legend(self):
        (start,) = (i for i, element in enumerate(self.elements) if "legend" in element.classes)
        items = [element.text.split() for element in self.elements[start:] if element.name == "li"]
        return {words[1]: int(words[0].replace(",", "")) for words in items if words[1] in set(State)}
