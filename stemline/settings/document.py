"""A configuration file read: overrides applied, variables expanded, faults told in sentences."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from stemline.errors import ConfigError
from stemline.settings.redactor import is_secret_name, present_redactor
from stemline.settings.section import Settings

_WANTED = {
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float"), "a whole number is wanted"),
    **dict.fromkeys(("float_parsing", "float_type", "finite_number"), "a number is wanted"),
    "int_parsing_size": "so large a number is not taken",
    **dict.fromkeys(("bool_parsing", "bool_type"), "true or false is wanted"),
    "string_type": "a text is wanted",
    **dict.fromkeys(("list_type", "tuple_type"), "a list is wanted"),
}
"""What a key takes, in our own words, by the kind of pydantic's complaint."""
_BOUNDS = {
    "greater_than": ("gt", "give a number above"),
    "greater_than_equal": ("ge", "give at least"),
    "less_than_equal": ("le", "give at most"),
}
"""The bound that a number breaks, by the kind of pydantic's complaint: its name there, and our words before it."""
_YAML_FIX = (
    "Compare it with a profile in configs/: spaces, not tabs; quotes around text that holds ': ', '#' or '{'."
)
_KEYS_FIX = "docs/configuration.md has every key with what it takes."
_VARIABLE = re.compile(r"(?P<escape>\$*)\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")
"""With another `$` before it, it is that text without it, as in a Compose file: a path may be called so."""


class _Loader(yaml.SafeLoader):
    """YAML without its trap: a key that is written twice is an error, where YAML forgets the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        """Give a mapping; raises ConstructorError for a key that is in it already."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                again = key.start_mark.line + 1
                raise yaml.constructor.ConstructorError(
                    problem=f"the key `{key.value}` stands there twice, again in line {again}"
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_settings(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Settings:
    """Give the settings of a configuration file, `key.path=value` overrides applied.

    Raises ConfigError for a missing or malformed file, an unknown key (naming the nearest known one),
    a bad value or a missing environment variable.
    """
    return build_settings(_read_yaml(path), path, overrides, environ).read_from(path, overrides)


def build_settings(
    tree: dict[str, Any], path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Settings:
    """Give the settings of an already parsed configuration; `path` names it in errors."""
    # A section with nothing under it is one with every default.
    tree = {"name": path.stem} | {name: section for name, section in tree.items() if section is not None}
    for override in overrides:
        tree = _override(tree, override)
    try:
        return Settings.model_validate(_expand_all(tree, environ, path))
    except ValidationError as error:
        sentences = [
            _sentence(tree, problem["loc"], problem["type"], _told(problem)) for problem in error.errors()
        ]
        told = (getattr(problem.get("ctx", {}).get("error"), "fix", "") for problem in error.errors())
        raise ConfigError(
            f"{path}: " + "; ".join(sentences) + ".", fix=next(filter(None, told), _KEYS_FIX)
        ) from error


def missing_variables(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> list[str]:
    """Give the environment variables that a configuration and overrides name, have no default, and are not set."""
    written = (path.read_text(encoding="utf-8") if path.is_file() else "", *overrides)
    found = [match for text in written for match in _VARIABLE.finditer(text) if not match["escape"]]
    names = [match["name"] for match in found if match["default"] is None]
    return [name for name in dict.fromkeys(names) if not environ.get(name)]


def has_literal_key(path: Path) -> bool:
    """Tell whether the file itself holds an API key instead of a `${VARIABLE}`."""
    provider = _read_yaml(path).get("provider")
    if not isinstance(provider, dict):
        return False
    several = provider.get("keys")
    written = [provider.get("api_key"), *(several if isinstance(several, list) else [several])]
    # What is left without its variables is literal; so is a default that stands in for one.
    return any(key is not None and _VARIABLE.sub(_default, str(key)) for key in written)


def escape_variables(text: str) -> str:
    """Give text that stands for itself in a configuration, whatever looks like a variable in it."""
    return _VARIABLE.sub(lambda match: f"${match[0]}", text)


def _default(match: re.Match[str]) -> str:
    return match[0] if match["escape"] else match["default"] or ""


def _yaml_reason(error: yaml.YAMLError) -> str:
    """Say where it is wrong, as an editor counts, and what is."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f": {' '.join(str(error).split())}"
    mark, told = error.problem_mark, (error.problem or "").replace("'<stream end>'", "the end of the file")
    return f" at line {mark.line + 1}, column {mark.column + 1}: {told}"


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = _Loader(path.read_text(encoding="utf-8")).get_single_data()
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration at {path}.", fix="Check the path, or start from configs/."
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The configuration {path} cannot be read: it is not UTF-8 text.", fix="Save it as UTF-8."
        ) from error
    except OSError as error:
        raise ConfigError(
            f"The configuration {path} cannot be read: {error.strerror}.",
            fix="Check the path and the rights there.",
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML{_yaml_reason(error)}.", fix=_YAML_FIX) from error
    except RecursionError as error:
        raise ConfigError(f"{path} nests its lists or sections without end.", fix=_YAML_FIX) from error
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path} holds no configuration.", fix="It needs catalogue, provider and dataset sections."
        )
    return tree


def _override(tree: dict[str, Any], override: str) -> dict[str, Any]:
    """Give the tree with one `key.path=value` in place; the value is read as YAML, or as text where it is none."""
    name, separator, text = override.partition("=")
    if not separator or not all(name.split(".")):
        raise ConfigError(
            f"--set {override!r} is not key=value.", fix="Write it like --set provider.base_url=http://…"
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    return _with_value(tree, name.split("."), value, override)


def _with_value(tree: dict[str, Any], names: list[str], value: object, override: str) -> dict[str, Any]:
    name, *rest = names
    if not rest:
        return {**tree, name: value}
    section = tree.get(name)
    if section is not None and not isinstance(section, dict):
        raise ConfigError(
            f"--set {override.partition('=')[0]}: {name!r} is not a section.",
            fix="Leave out what follows it, or its dot.",
        )
    return {**tree, name: _with_value(section or {}, rest, value, override)}


def _expand_all(tree: dict[str, Any], environ: Mapping[str, str], path: Path) -> Any:  # noqa: ANN401 - a YAML tree
    """Give the tree with its variables in place; raises ConfigError naming all that are not set."""
    missing: dict[str, str] = {}
    try:
        expanded = _expand(tree, "", environ, missing)
    except RecursionError as error:  # an anchor that stands in itself
        raise ConfigError(f"{path} nests its lists or sections without end.", fix=_YAML_FIX) from error
    if missing:
        needs = " and ".join(
            f"{at} needs the environment variable {name}, which is not set" for name, at in missing.items()
        )
        exports = " ".join(f"{name}=…" for name in missing)
        raise ConfigError(f"{path}: {needs}.", fix=f"Run `export {exports}` first.")
    return expanded


def _expand(value: Any, at: str, environ: Mapping[str, str], missing: dict[str, str]) -> Any:  # noqa: ANN401 - a YAML tree
    """Give a value with its variables in place; `missing` gets those that are not set, with the keys that need them."""
    if isinstance(value, dict):
        return {
            name: _expand(item, f"{at}.{name}".lstrip("."), environ, missing) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, at, environ, missing) for item in value]
    if not isinstance(value, str):
        return value
    if "\0" in value:
        raise ConfigError(
            f"`{at}` holds a NUL character.", fix="Type the value anew: no name or address has one."
        )

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if match["escape"]:
            return match[0][1:]
        found = environ.get(name) or default
        if found is None:
            missing.setdefault(name, at)
        return found or ""

    return _VARIABLE.sub(replace, value)


def _told(problem: Mapping[str, Any]) -> str:
    """Give what pydantic says of a value, bounds of numbers in our words."""
    bound, words = _BOUNDS.get(problem["type"], ("", ""))
    return f"{words} {problem['ctx'][bound]:.15g}" if bound else str(problem["msg"])


def _sentence(tree: dict[str, Any], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind == "missing":
        return f"the key `{name}` is missing"
    if kind == "extra_forbidden":
        known = difflib.get_close_matches(str(location[-1]), list(_known_keys(location[:-1])), 1, 0.0)
        nearest = ".".join([*(str(part) for part in location[:-1]), *known])
        return f"unknown key `{name}`, the nearest known one is `{nearest}`"
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return f"`{name}` must be a section with keys of its own"
    reason = _WANTED.get(kind) or message.removeprefix("Value error, ")
    if isinstance(_lookup(tree, location), dict):  # a whole section may hold a key: it is not shown
        return f"`{name}`: {reason}"
    return f"`{name}` is {_lookup(tree, location)!r}: {reason[0].lower()}{reason[1:]}"


def _known_keys(location: tuple[int | str, ...]) -> Iterator[str]:
    model: type[BaseModel] = Settings
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel))
    yield from (field.alias or name for name, field in model.model_fields.items())


def _lookup(tree: Any, location: tuple[int | str, ...]) -> object:  # noqa: ANN401 - a YAML tree
    for part in location:
        is_short_form = isinstance(tree, list) and not isinstance(part, int)
        if not isinstance(tree, (dict, list)) or is_short_form:
            break
        tree = tree.get(part) if isinstance(tree, dict) else tree[int(part)]
    if any(is_secret_name(str(part)) for part in location):
        return "**********"
    return present_redactor()(tree) if isinstance(tree, str) else tree
