"""The configuration: one YAML file, read once at the edge into frozen settings."""

from __future__ import annotations

import difflib
import importlib.resources
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from stemline.errors import ConfigError
from stemline.records import Recipe

_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^}]*))?\}")


class Section(BaseModel):
    """A part of the configuration: frozen, and strict about keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CatalogueSettings(Section):
    """Where the manifest is and which of its rows are wanted."""

    manifest: str
    where: str | None = None
    storage_options: dict[str, Any] = Field(default_factory=dict)


class ProviderSettings(Section):
    """Which service separates, and how hard it may be asked."""

    kind: str
    base_url: str | None = None
    api_key: SecretStr | None = None
    requests_per_minute: int | None = Field(default=None, gt=0)
    max_in_flight: int = Field(default=100, gt=0)
    engine: Literal["auto", "draft", "demucs"] = "auto"
    """For `local` started on loopback: which engine separates."""
    workers: int | None = Field(default=None, gt=0)
    """For `local` started on loopback: how many tracks are separated at once."""


class RecipeSettings(Section):
    """What is asked of the provider."""

    stems: Literal["vocals", "instrumental", "both", "four", "six"] = "four"
    quality: Literal["fast", "balanced", "best"] = "best"
    format: Literal["mp3", "wav", "flac"] = "flac"

    def as_recipe(self) -> Recipe:
        """Give the record the library works with."""
        return Recipe(self.stems, self.quality, self.format)


class BudgetSettings(Section):
    """Limits in credits; a missing one does not limit."""

    run: int | None = Field(default=None, ge=0)
    day: int | None = Field(default=None, ge=0)
    month: int | None = Field(default=None, ge=0)
    floor: int | None = Field(default=None, ge=0)
    on_limit: Literal["stop", "wait"] = "stop"


class DatasetSettings(Section):
    """Where the dataset is and how it is cut."""

    url: str
    audio: Literal["objects", "embedded"] = "objects"
    partition_by: tuple[str, ...] = ("provider", "collected_on")
    storage_options: dict[str, Any] = Field(default_factory=dict)


class LedgerSettings(Section):
    """Where the ledger is; the default is a SQLite file named after the run."""

    url: str | None = None


class WebhookSettings(Section):
    """Where a provider may call us."""

    public_url: str
    listen: str = "127.0.0.1:8787"


class FailureSettings(Section):
    """How often a track is tried and how many may fail."""

    max_attempts: int = Field(default=3, ge=1)
    tolerate: float | None = None
    """A share of the selected tracks (0-1) past which the run stops early; None: never."""

    @field_validator("tolerate", mode="before")
    @classmethod
    def _share(cls, value: object) -> object:
        if isinstance(value, str) and value.strip().endswith("%"):
            return float(value.strip()[:-1]) / 100
        return value

    @field_validator("tolerate")
    @classmethod
    def _within(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value <= 1:
            raise ValueError("give a share from 0% to 100%")
        return value


class ExecutionSettings(Section):
    """Where collecting and verifying run."""

    runner: Literal["threads", "dask", "ray"] = "threads"
    address: str | None = None
    workers: int = Field(default=4, gt=0)
    batch_tracks: int = Field(default=100, gt=0)
    batch_seconds: float = Field(default=20.0, gt=0)


class Settings(Section):
    """One whole configuration, with every default filled in."""

    name: str
    catalogue: CatalogueSettings
    provider: ProviderSettings
    recipe: RecipeSettings = RecipeSettings()
    budget: BudgetSettings = BudgetSettings()
    dataset: DatasetSettings
    ledger: LedgerSettings = LedgerSettings()
    webhooks: WebhookSettings | None = None
    failures: FailureSettings = FailureSettings()
    execution: ExecutionSettings = ExecutionSettings()

    @field_validator("name")
    @classmethod
    def _path_safe(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError(
                "use letters, digits, '.', '_' and '-' (at most 64), starting with a letter or digit"
            )
        return value

    @property
    def ledger_url(self) -> str:
        """Where the ledger is, default included."""
        return self.ledger.url or f"sqlite:///.stemline/{self.name}.db"


class ProviderFacts(Section):
    """What is known about a vendor: `configs/providers/<kind>.yaml`."""

    kind: str
    dialect: str
    base_url: str | None
    requests_per_minute: int
    stems: tuple[str, ...]
    qualities: tuple[str, ...]
    formats: tuple[str, ...]
    min_duration_seconds: float
    max_duration_seconds: float
    max_size_bytes: int | None
    key_variable: str | None
    """The environment variable that people keep the key in."""
    sweep_seconds: float
    """How long to wait between two looks at the job list."""
    grace_seconds: float
    """How long an unanswered submit may take to show up in the job list."""
    speed: float
    """Seconds of work per second of audio to expect before anything was measured."""
    latency_seconds: float
    """What a job takes besides."""
    jobs_at_once: int | None = None
    """How many jobs the provider works on at once; None: not known, taken as plenty."""


def load_settings(
    path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Settings:
    """Give the settings of a configuration file, `key.path=value` overrides applied.

    Raises ConfigError for a missing or malformed file, an unknown key (naming the nearest known one),
    a bad value or a missing environment variable.
    """
    return build_settings(_read_yaml(path), path, overrides, environ)


def build_settings(
    tree: dict[str, Any], path: Path, overrides: Sequence[str] = (), environ: Mapping[str, str] = os.environ
) -> Settings:
    """Give the settings of an already parsed configuration; `path` names it in errors."""
    tree.setdefault("name", path.stem)
    for override in overrides:
        _apply_override(tree, override)
    try:
        return Settings.model_validate(_expand(tree, "", environ, path))
    except ValidationError as error:
        sentences = [
            _sentence(tree, problem["loc"], problem["type"], problem["msg"]) for problem in error.errors()
        ]
        raise ConfigError(f"{path}: " + "; ".join(sentences) + ".") from error


def has_literal_key(path: Path) -> bool:
    """Tell whether the file itself holds an API key instead of a `${VARIABLE}`."""
    provider = _read_yaml(path).get("provider")
    key = provider.get("api_key") if isinstance(provider, dict) else None
    return isinstance(key, str) and not _VARIABLE.search(key)


def load_facts(kind: str) -> ProviderFacts:
    """Give the facts of a provider; raises ConfigError naming the known ones."""
    folder = importlib.resources.files("configs") / "providers"
    known = sorted(
        entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml")
    )
    if kind not in known:
        raise ConfigError(
            f"provider.kind is {kind!r}, which is not known.", fix=f"Use one of: {', '.join(known)}."
        )
    facts = yaml.safe_load((folder / f"{kind}.yaml").read_text(encoding="utf-8"))
    return ProviderFacts.model_validate(facts)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no configuration at {path}.", fix="Check the path, or start from configs/."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}.") from error
    if not isinstance(tree, dict):
        raise ConfigError(
            f"{path} holds no configuration.", fix="It needs catalogue, provider and dataset sections."
        )
    return tree


def _apply_override(tree: dict[str, Any], override: str) -> None:
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(
            f"--set {override!r} is not key=value.", fix="Write it like --set provider.base_url=http://…"
        )
    *parents, leaf = path.split(".")
    for parent in parents:
        tree = tree.setdefault(parent, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is not a section.")
    tree[leaf] = yaml.safe_load(text)


def _expand(value: Any, at: str, environ: Mapping[str, str], path: Path) -> Any:  # noqa: ANN401 - a YAML tree
    if isinstance(value, dict):
        return {
            name: _expand(item, f"{at}.{name}".lstrip("."), environ, path) for name, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, at, environ, path) for item in value]
    if not isinstance(value, str):
        return value

    def replace(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        found = environ.get(name) or default
        if found is None:
            raise ConfigError(
                f"{path}: {at} needs the environment variable {name}, which is not set.",
                fix=f"Run `export {name}=…` first.",
            )
        return found

    return _VARIABLE.sub(replace, value)


def _sentence(tree: dict[str, Any], location: tuple[int | str, ...], kind: str, message: str) -> str:
    name = ".".join(str(part) for part in location)
    if kind == "missing":
        return f"the key `{name}` is missing"
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(
            str(location[-1]), list(_known_keys(location[:-1])), n=1, cutoff=0.0
        )
        return (
            f"unknown key `{name}`, the nearest known one is `{close[0]}`"
            if close
            else f"unknown key `{name}`"
        )
    shown = _lookup(tree, location)
    return f"`{name}` is {shown!r}: {message[0].lower()}{message[1:]}"


def _known_keys(location: tuple[int | str, ...]) -> Iterator[str]:
    model: type[BaseModel] = Settings
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next(each for each in candidates if isinstance(each, type) and issubclass(each, BaseModel))
    yield from model.model_fields


def _lookup(tree: Any, location: tuple[int | str, ...]) -> object:  # noqa: ANN401 - a YAML tree
    for part in location:
        if not isinstance(tree, (dict, list)):
            break
        tree = tree.get(part) if isinstance(tree, dict) else tree[int(part)]
    return "**********" if location and "key" in str(location[-1]) else tree
