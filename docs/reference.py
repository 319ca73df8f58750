"""Writes into the pages what the code knows better: keys of the configuration, states, codes. `make docs`.

A page has a place for it, from `<!-- made: NAME -->` to `<!-- end -->`. `tests/test_reference.py` keeps both the same.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from stemline.records import Code, State
from stemline.settings import Settings
from stemline.settings.rights_settings import RequiredRights
from stemline.settings.split_settings import SplitSettings
from stemline.wording import CODES, STATES

DOCS = Path(__file__).parent
PLACE = re.compile(r"(<!-- made: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
WHERE_NONE = re.compile(r"\s*\bNone: (?P<default>.+)\.$", re.DOTALL)
TYPES = {str: "text", SecretStr: "text", int: "whole number", float: "number", dict: "mapping", tuple: "list"}
WRITTEN_SHORT = (RequiredRights, SplitSettings)
"""Sections whose keys are shown in the meaning of the one that holds them."""
MORE = {
    "catalogue.manifest": "#manifest",
    "catalogue.columns": "#manifest",
    "catalogue.order_by": "#order",
    "catalogue.types": "#types",
    "catalogue.root": "#places",
    "catalogue.require_rights": "dataset-rights.md#a-gate-before-spending",
    "provider.base_url": "scaling.md#several-services",
    "provider.keys": "#several-keys",
    "provider.pilot": "#pilot",
    "provider.engine": "engine.md",
    "budget.run": "#budget",
    "dataset.mix": "dataset-mix.md",
    "dataset.splits": "dataset-splits.md",
    "dataset.storage_options": "dataset.md#on-an-object-store",
    "ledger.url": "recovery.md#a-lost-ledger",
    "webhooks.public_url": "providers.md#webhooks",
    "webhooks.secret": "security.md#webhooks",
    "execution.runner": "scaling.md#on-dask-or-ray",
    "telemetry.metrics": "observability/README.md",
}


def filled(page: Path) -> str:
    """Give the text of a page with its made places as the code has them."""
    return PLACE.sub(lambda place: f"{place[1]}{MADE[place['name']]()}{place[3]}", page.read_text())


def configuration() -> str:
    """Give the table of all keys: type, default, meaning."""
    return _table(("key", "type", "default", "meaning"), _keys(Settings))


def _keys(section: type[BaseModel], before: str = "") -> Iterator[tuple[str, ...]]:
    meanings = _docstrings(section)
    for name, field in section.model_fields.items():
        key, kind = f"{before}{field.alias or name}", _without_none(field.annotation)
        if isinstance(kind, type) and issubclass(kind, BaseModel) and kind not in WRITTEN_SHORT:
            yield from _keys(kind, f"{key}.")
            continue
        where_none = WHERE_NONE.search(meanings[name])
        meaning = meanings[name][: where_none.start()] if where_none else meanings[name]
        more = f" ([more]({MORE[key]}))" if key in MORE else ""
        default = where_none["default"] if where_none else _default(field)
        yield f"`{key}`", _type(kind), default, f"{meaning.rstrip('.')}{more}"


def _docstrings(section: type[BaseModel]) -> dict[str, str]:
    """Give what stands below each key of a section; KeyError later for one without."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(section))).body
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - what the source of a class is
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        key.target.id: " ".join(told.value.value.split())
        for key, told in pairs
        if isinstance(key, ast.AnnAssign)
        and isinstance(key.target, ast.Name)
        and isinstance(told, ast.Expr)
        and isinstance(told.value, ast.Constant)
    }


def _without_none(annotation: Any) -> Any:
    if get_origin(annotation) not in {Union, UnionType}:
        return annotation
    return Union[tuple(each for each in get_args(annotation) if each is not NoneType)]  # noqa: UP007 - made of a tuple


def _type(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Annotated:
        return _type(get_args(kind)[0])
    if origin is Literal:
        return ", ".join(f"`{each}`" for each in get_args(kind))
    if origin in {Union, UnionType}:
        return " or ".join(_type(each) for each in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return "mapping"
    return TYPES[origin or kind]


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, tuple):
        return f"`[{', '.join(value)}]`" if value else "none"
    if isinstance(value, float):
        hours = value / 3_600
        return f"`{hours:g}h`" if hours.is_integer() else f"`{value:g}`"
    return "none" if value is None else f"`{value}`"


def states() -> str:
    """Give the table of states, in the order of the code."""
    return _table(("state", "a track in it is"), ((f"`{state}`", STATES[state]) for state in State))


def codes() -> str:
    """Give the table of codes: the state they stand with, what they mean, what to do."""
    beside = _states_of_codes()
    rows = (
        (f"`{code}`", beside[code], told.sentence, told.next_step.format(code="CODE"))
        for code, told in CODES.items()
        if code is not Code.OK
    )
    return _table(("code", "state", "meaning", "what to do"), rows)


def _states_of_codes() -> dict[Code, str]:
    """Give the state above which each code stands, as the comments in `Code` say."""
    found, state = {}, ""
    for line in inspect.getsource(Code).splitlines():
        if comment := re.match(r"\s+# (\w+)", line):
            state = f"`{State(comment[1])}`"
        elif member := re.match(r"\s+([A-Z_]+) = ", line):
            found[Code[member[1]]] = state
    return found


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


MADE: dict[str, Callable[[], str]] = {"configuration": configuration, "states": states, "codes": codes}

if __name__ == "__main__":
    for each in sorted(DOCS.rglob("*.md")):
        each.write_text(filled(each))
