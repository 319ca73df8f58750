"""The sections of the configuration: their keys, defaults and what their values may be."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    field_validator,
    model_validator,
)

from stemline.records import Recipe
from stemline.rights import EVERY_TRACK, RightsGate
from stemline.settings.column_mapping import check_mapping
from stemline.settings.default_ledger import default_ledger, ledger_place, sqlite_file, sqlite_url
from stemline.settings.rights_settings import RequiredRights
from stemline.settings.split_settings import SplitSettings

ColumnType = Literal["text", "integer", "number", "boolean", "date", "timestamp"]
_SHARE = "give a share from 0% to 100%"
_MOST_TRACKS = 1_000_000
_MOST_WORKERS = 10_000
_MOST_CREDITS = 10**15
"""What sums of it still fit a ledger's column: some 30 million years of audio."""
_LONGEST_SECONDS = 366 * 86_400.0
"""A year: a clock that is asked to wait for ever overflows."""
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


class Section(BaseModel):
    """A part of the configuration: frozen, and strict about keys it does not know.

    What stands below a key is its meaning in docs/configuration.md, which `make docs` writes: `None: …` at its end
    becomes the default there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, serialize_by_alias=True)


class CatalogueSettings(Section):
    """Where the manifest is and which of its rows are wanted."""

    manifest: str
    """`.csv`, `.tsv`, `.jsonl` (each also `.gz`), `.parquet`, or a folder, prefix or glob of audio; any fsspec URL."""
    where: str | None = None
    """Which rows, as SQL over the manifest's columns (DuckDB). None: all."""
    order_by: str | None = None
    """Who goes first, and so who fits a budget, as SQL: `released_on DESC, artist`. None: by `priority`."""
    storage_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """What fsspec needs to read the manifest and its files."""
    types: dict[str, ColumnType] = Field(default_factory=dict)
    """`{column: text}`, where its type is not to be found out: text, integer, number, boolean, date or timestamp."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Our name: the manifest's, such as `{uri: "File Name"}`, for what is called otherwise; `init` proposes it."""
    root: str | None = None
    """A folder that files here must lie in, links followed; `source_uri` is relative to it. None: anywhere."""
    send: Literal["auto", "url", "upload"] = "auto"
    """How objects of a store are handed over: by presigned link where the vendor can reach it, always, or never."""
    require_rights: RequiredRights | None = None
    """`{licenses: [SPDX, …], ai_training: true}`: rows without these rights are rejected before a credit is spent."""

    @field_validator("manifest")
    @classmethod
    def _named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("name a file, a folder or a URL; `.` is the folder you are in")
        return value

    @field_validator("columns")
    @classmethod
    def _mapped_once(cls, value: dict[str, str]) -> dict[str, str]:
        check_mapping(value)
        return value

    @field_validator("require_rights", mode="before")
    @classmethod
    def _in_short(cls, value: object) -> object:
        if isinstance(value, bool):
            return {"ai_training": True} if value else None
        return {"licenses": value} if isinstance(value, (list, str)) else value

    @property
    def rights_gate(self) -> RightsGate:
        """What a row must be free for."""
        return EVERY_TRACK if self.require_rights is None else self.require_rights.gate


def _plain_address(url: str) -> str:
    """Give an address as others that lead to the same service are written; raises ValueError for none."""
    parts = urlsplit(url.rstrip("/"))
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    port = parts.port or {"http": 80, "https": 443}[parts.scheme.lower()]
    return f"{parts.scheme.lower()}://{host}:{port}{parts.path}?{parts.query}"


def _sendable_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value().strip()
    if not re.fullmatch(r"[!-~]*", text):
        raise ValueError("it holds a blank, a line break or a letter that no key has; copy it again")
    return SecretStr(text)


class ProviderSettings(Section):
    """Which service separates, and how hard it may be asked."""

    kind: str
    """`stemsplit`, `aistemsplitter` or `local`."""
    base_url: str | tuple[str, ...] | None = None
    """Another address, or several: each a service of its own, with an account for each key. None: the vendor's."""
    api_key: SecretStr | None = None
    """Write `${VARIABLE}`: a key in the file itself is warned about."""
    # Not `keys` here: an object with that attribute passes for a mapping, and Prefect walks through every one.
    several_keys: tuple[SecretStr, ...] = Field(default=(), alias="keys")
    """Several in place of `api_key`: each is asked at its own pace, all share the budget."""
    requests_per_minute: int | None = Field(default=None, gt=0, le=_MOST_TRACKS)
    """What to begin with; the headers of the answers correct it. None: the vendor's."""
    max_in_flight: int = Field(default=100, gt=0, le=_MOST_TRACKS)
    """Tracks with the provider at once, of each key."""
    job_timeout: float = Field(default=6 * 3_600.0, gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)
    """A job that takes longer is left to later runs, each of which looks at it again: `6h`, `90m`, `45s` or seconds."""
    pilot: int = Field(default=3, ge=0, le=_MOST_TRACKS)
    """So many tracks of a provider and recipe must come back verified before others are sent; 0, and `local`: none."""
    engine: Literal["auto", "draft", "demucs"] = "auto"
    """For `local` started by the run: which engine separates; `auto` is `demucs` where it is installed."""
    workers: int | None = Field(default=None, gt=0, le=_MOST_WORKERS)
    """For `local` started by the run: how many tracks are separated at once. None: cores - 1."""

    @property
    def pilot_tracks(self) -> int:
        """How many tracks the pilot is: what ships with stemline needs no proof."""
        return 0 if self.kind == "local" else self.pilot

    @property
    def base_urls(self) -> tuple[str, ...]:
        """Give every address there is."""
        given = self.base_url
        return () if given is None else (given,) if isinstance(given, str) else given

    @property
    def accounts(self) -> int:
        """How many accounts there are to work with: each key at each address."""
        return max(1, len(self.api_keys)) * max(1, len(self.base_urls))

    @property
    def api_keys(self) -> tuple[SecretStr, ...]:
        """Give every API key there is."""
        return self.several_keys or (() if self.api_key is None else (self.api_key,))

    @field_validator("api_key", "several_keys")
    @classmethod
    def _sendable(
        cls, value: SecretStr | tuple[SecretStr, ...] | None
    ) -> SecretStr | tuple[SecretStr, ...] | None:
        """Give keys without what a file or an `export` left around them; refuse what no header may hold."""
        if value is None:
            return None
        if isinstance(value, tuple):
            return tuple(_sendable_key(key) for key in value)
        return _sendable_key(value)

    @field_validator("several_keys")
    @classmethod
    def _different(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if len({key.get_secret_value() for key in value}) < len(value):
            raise ValueError("the same key stands there twice")
        return value

    @model_validator(mode="after")
    def _one_or_several(self) -> Self:
        if self.several_keys and self.api_key is not None:
            raise ValueError("give either api_key or keys")
        return self

    @field_validator("job_timeout", mode="before")
    @classmethod
    def _duration(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhd]?)\s*", value)
        if found is None:
            raise ValueError("write it as 6h, 90m, or a number of seconds")
        return float(found[1]) * _UNIT_SECONDS[found[2]]

    @field_validator("base_url")
    @classmethod
    def _web_url(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        urls = (value,) if isinstance(value, str) else value or ()
        if not all(re.match(r"https?://[^/\s]+[^\s]*$", url) for url in urls):
            raise ValueError("write it as https://host/path")
        if len({_plain_address(url) for url in urls}) < len(urls):
            raise ValueError("the same address stands there twice (localhost is 127.0.0.1)")
        if isinstance(value, tuple) and not value:
            raise ValueError("name an address, or leave it away")
        return value


class RecipeSettings(Section):
    """What is asked of the provider."""

    stems: Literal["vocals", "instrumental", "both", "four", "six"] = "four"
    """`four` are vocals, drums, bass and other; `six` have piano and guitar besides."""
    quality: Literal["fast", "balanced", "best"] = "best"
    """The provider's own degrees."""
    format: Literal["mp3", "wav", "flac"] = "flac"
    """Of the stems."""

    def as_recipe(self) -> Recipe:
        """Give the record the library works with."""
        return Recipe(self.stems, self.quality, self.format)


class BudgetSettings(Section):
    """Limits in credits; a missing one does not limit."""

    run: int | None = Field(default=None, ge=0, le=_MOST_CREDITS)
    """What a run's credits, reserved and charged, may not pass."""
    day: int | None = Field(default=None, ge=0, le=_MOST_CREDITS)
    """The same for a day (UTC), over all runs of the ledger."""
    month: int | None = Field(default=None, ge=0, le=_MOST_CREDITS)
    """The same for a month (UTC)."""
    floor: int | None = Field(default=None, ge=0, le=_MOST_CREDITS)
    """The balance that is always left with the vendor."""
    on_limit: Literal["stop", "wait"] = "stop"
    """`wait` waits for the next day or month."""


class DatasetSettings(Section):
    """Where the dataset is and how it is cut."""

    url: str
    """Where it is: a path, or any fsspec URL."""
    audio: Literal["objects", "embedded"] = "objects"
    """`embedded` puts the audio inside Parquet, for small sets."""
    mix: Literal["none", "copy", "link"] = "none"
    """The source beside its stems as stem `mix`: `copy` stores it as it is, `link` names where it lies."""
    partition_by: tuple[str, ...] = ("provider", "collected_on")
    """Any columns of the tracks table."""
    compact: Literal["auto", "never"] = "auto"
    """Whether a run ends by merging small parts, of days that are over or 32 and more; else `stemline compact` does."""
    splits: SplitSettings | None = None
    """`{train: 0.8, validation: 0.1, test: 0.1, by: artist, seed: 0}`: each artist in one split for ever. None: the
    manifest's."""
    storage_options: dict[str, Any] = Field(default_factory=dict, repr=False)
    """Such as `{endpoint_url: …, key: …, secret: …}` for another S3."""


class LedgerSettings(Section):
    """Where the ledger is; the default is a SQLite file named after the run, beside the dataset it is of."""

    url: str | None = Field(default=None, repr=False)
    """Or `postgresql+psycopg://…`. For a dataset on a store name one: its file lies in `.stemline/` of the working
    directory otherwise. None: `<dataset>/_stemline/<name>.db`."""
    keep_events: int = Field(default=90, ge=1, le=36_500)
    """For how many days it keeps what happened to each track, and facts of stems that the tables hold; charges and
    attempts are kept for ever."""


def _require_host_and_port(value: str) -> str:
    host, _, port = value.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and int(port) < 65_536):
        raise ValueError("write it as host:port")
    return value


HostAndPort = Annotated[str, AfterValidator(_require_host_and_port)]


class TelemetrySettings(Section):
    """Where a run is seen while it runs; OpenTelemetry has its own environment variables."""

    metrics: HostAndPort | None = None
    """`host:port` where runs answer `GET /metrics` for Prometheus while they go on. None: nowhere."""


class WebhookSettings(Section):
    """Where a provider may call us."""

    public_url: str
    """Where the provider reaches us, one address a ledger; without the section stemline polls."""
    listen: HostAndPort = "127.0.0.1:8787"
    """`host:port` where the receiver listens, inside `run` or as `stemline listen`."""
    secret: SecretStr | None = None
    """What the provider signs with; AIStemSplitter has one for your account: `${VARIABLE}`. None: made by StemSplit."""

    @field_validator("public_url")
    @classmethod
    def _web_url(cls, value: str) -> str:
        if not re.fullmatch(r"https?://[^/\s?#]+(/[^\s?#]*)?", value):
            raise ValueError("write it as https://host/path")
        return value.rstrip("/")

    @field_validator("secret")
    @classmethod
    def _not_empty(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("an empty secret would let anybody sign")
        return value

    def hook_url(self, kind: str) -> str:
        """Give the address that this provider is to call."""
        return f"{self.public_url}/hooks/{kind}"


class FailureSettings(Section):
    """How often a track is tried and how many may fail."""

    max_attempts: int = Field(default=3, ge=1, le=1_000)
    """How often a track is tried."""
    tolerate: float | None = None
    """A share of the selected tracks, such as `5%` or 0.05: past it the run stops early. None: all."""

    @field_validator("tolerate", mode="before")
    @classmethod
    def _share(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        number, percent, _ = value.strip().partition("%")
        try:
            return float(number) / 100 if percent else float(number)
        except ValueError as error:
            raise ValueError(_SHARE) from error

    @field_validator("tolerate")
    @classmethod
    def _within(cls, value: float | None) -> float | None:
        if value is not None and not 0 <= value <= 1:
            raise ValueError(_SHARE)
        return value


class ExecutionSettings(Section):
    """Where collecting and verifying run."""

    runner: Literal["threads", "dask", "ray"] = "threads"
    """Where tracks are collected: in threads of the run's process, or by the workers of a cluster."""
    address: str | None = None
    """A cluster that runs already: `tcp://scheduler:8786`, `ray://head:10001`. None: processes of this machine."""
    workers: int = Field(default=4, gt=0, le=_MOST_WORKERS)
    """Tracks collected at once, wherever."""
    batch_tracks: int = Field(default=500, gt=0, le=_MOST_TRACKS)
    """Collected tracks are published together when they are so many, and when the run ends."""
    batch_seconds: float = Field(default=300.0, gt=0, le=_LONGEST_SECONDS, allow_inf_nan=False)
    """Or when the first of them has waited so long; a crash before that loses nothing."""


class Settings(Section):
    """One whole configuration, with every default filled in."""

    _origin: tuple[Path, tuple[str, ...]] | None = PrivateAttr(default=None)

    name: str
    """Names the ledger's file, the run ids and the report. None: the file's name."""
    catalogue: CatalogueSettings
    provider: ProviderSettings
    recipe: RecipeSettings = RecipeSettings()
    budget: BudgetSettings = BudgetSettings()
    dataset: DatasetSettings
    ledger: LedgerSettings = LedgerSettings()
    webhooks: WebhookSettings | None = None
    failures: FailureSettings = FailureSettings()
    execution: ExecutionSettings = ExecutionSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @field_validator("name")
    @classmethod
    def _path_safe(cls, value: str) -> str:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", value):
            raise ValueError(
                "use letters, digits, '.', '_' and '-' (at most 64), starting with a letter or digit"
            )
        return value

    @property
    def origin(self) -> tuple[Path, tuple[str, ...]] | None:
        """The file it was read from and the overrides applied; None where it was built otherwise."""
        return self._origin

    def read_from(self, path: Path, overrides: Sequence[str]) -> Self:
        """Remember the origin, and give the settings."""
        self._origin = (path, tuple(overrides))
        return self

    def digest(self) -> str:
        """Give a short digest of all that is configured; API keys, and where a run is seen, have no part in it."""
        left_out: dict[str, Any] = {"provider": {"api_key", "several_keys"}, "telemetry": True}
        if not self.catalogue.columns:
            left_out["catalogue"] = {"columns"}  # a digest from before there was the key still holds
        tree = self.model_dump_json(exclude=left_out)
        return hashlib.sha256(tree.encode()).hexdigest()[:16]

    @property
    def ledger_url(self) -> str:
        """Where the ledger is, default included."""
        return self.ledger.url or sqlite_url(default_ledger(self.name, self.dataset.url))

    @property
    def ledger_place(self) -> Path | None:
        """The folder that a ledger belongs in which stands elsewhere, as earlier versions had it; else None."""
        place = ledger_place(self.dataset.url) if self.ledger.url is None else None
        is_there = place is None or default_ledger(self.name, self.dataset.url).parent == place
        return None if is_there else place

    @property
    def ledger_file(self) -> Path | None:
        """The file a SQLite ledger is kept in; None for a server."""
        return sqlite_file(self.ledger_url)
