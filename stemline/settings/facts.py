"""What is known about a provider, read from `configs/providers/`."""

from __future__ import annotations

import importlib.resources
from datetime import UTC, datetime, timedelta

import yaml

from stemline.errors import ConfigError
from stemline.settings.section import ProviderSettings, Section


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
    best_only: tuple[str, ...] = ()
    """Stems that come in quality `best` alone."""
    video_stems: str | None = None
    """The one recipe the provider makes of a YouTube URL; None: it takes none."""
    key_variable: str | None
    """The environment variable that people keep the key in."""
    sweep_seconds: float
    """How long to wait between two reads of the job list."""
    grace_seconds: float
    """How long an unanswered submit may take to show up in the job list."""
    speed: float
    """Seconds of work per second of audio to expect before anything was measured."""
    latency_seconds: float
    """What a job takes besides."""
    list_seconds: float | None = None
    """For how long the job list is sure to show a job; None: there is no list."""
    repeat_seconds: float | None = None
    """For how long a submit may be repeated under its idempotency key; None: there is no such key."""
    outputs_seconds: float | None = None
    """For how long the provider keeps what a job made, from its submit on; None: not known, it has to be asked."""
    jobs_at_once: int | None = None
    """How many jobs the provider works on at once; None: not known, taken as plenty."""

    def pace(self, configured: ProviderSettings) -> int:
        """Give the requests a minute to begin with, with each key: as configured, else as the vendor says."""
        return configured.requests_per_minute or self.requests_per_minute


def known_kinds() -> list[str]:
    """Give the providers there are facts about."""
    folder = importlib.resources.files("configs") / "providers"
    names = [entry.name for entry in folder.iterdir()]
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def load_facts(kind: str) -> ProviderFacts:
    """Give the facts of a provider; raises ConfigError naming the known ones."""
    known = known_kinds()
    if kind not in known:
        raise ConfigError(
            f"provider.kind is {kind!r}, which is not known.", fix=f"Use one of: {', '.join(known)}."
        )
    file = importlib.resources.files("configs") / "providers" / f"{kind}.yaml"
    return ProviderFacts.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def outputs_kept_since(facts: ProviderFacts, now: datetime) -> datetime:
    """Give since when jobs may have been submitted whose outputs a provider still has."""
    if facts.outputs_seconds is None:
        return datetime.min.replace(tzinfo=UTC)
    return now - timedelta(seconds=facts.outputs_seconds)
