"""What the steps of one run share: its settings, and what it holds open."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from stemline.dataset.layout import DatasetLayout
from stemline.ledger import Ledger
from stemline.manifest import ManifestSource
from stemline.ownership import DatasetClaim
from stemline.publisher import Publisher
from stemline.run.access import read_api_keys
from stemline.run.correction import CorrectionQueue
from stemline.run.remaking import RemakeQueue
from stemline.run.selection import Selection
from stemline.run.splitting import SplitKeeping
from stemline.settings import ProviderFacts, Settings
from stemline.settings.redactor import Redactor, redactor_of
from stemline.storage import Store
from stemline.telemetry.collector_export import TracedSpan
from stemline.telemetry.request_durations import RequestDurations


@dataclass
class RunContext:
    """A run's settings, its ledger, its dataset and its keys."""

    settings: Settings
    selection: Selection
    facts: ProviderFacts
    ledger: Ledger
    store: Store
    layout: DatasetLayout
    run_id: str
    fences: Mapping[str, int]
    """The fence of each API key's lease, by the key's fingerprint."""
    claim: DatasetClaim
    source: ManifestSource
    """The selected part of the catalogue, parsed already where the run reads it."""
    splits: SplitKeeping | None = None
    """What puts tracks into splits; None: the manifest alone does."""
    requests: RequestDurations = field(default_factory=RequestDurations)
    """How long its requests to the provider took."""
    span: TracedSpan = field(default_factory=TracedSpan)
    """What stands for it in a trace."""
    is_interrupted: bool = field(default=False, kw_only=True)

    @cached_property
    def corrections(self) -> CorrectionQueue:
        """Published tracks of which the manifest says something else by now."""
        key = (self.settings.provider.kind, self.settings.recipe.as_recipe())
        return CorrectionQueue(self.ledger, self.store, self.layout, *key, splits=self.splits)

    @cached_property
    def remakes(self) -> RemakeQueue:
        """Published tracks of which there are newer stems."""
        key = (self.settings.provider.kind, self.settings.recipe.as_recipe())
        return RemakeQueue(self.ledger, self.store, self.publisher, *key)

    @cached_property
    def redactor(self) -> Redactor:
        """What keeps its secrets out of what it says of itself."""
        return redactor_of(self.settings, read_api_keys(self.settings, self.facts))

    @property
    def publisher(self) -> Publisher:
        """What adds parts to the dataset."""
        return Publisher(self.ledger, self.store, self.layout, self.splits.book if self.splits else None)
