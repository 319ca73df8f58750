"""The configuration: one YAML file, read once at the edge into frozen settings."""

from stemline.settings.document import build_settings, has_literal_key, load_settings
from stemline.settings.facts import ProviderFacts, known_kinds, load_facts, outputs_kept_since
from stemline.settings.section import (
    BudgetSettings,
    CatalogueSettings,
    DatasetSettings,
    ExecutionSettings,
    FailureSettings,
    LedgerSettings,
    ProviderSettings,
    RecipeSettings,
    Section,
    Settings,
    WebhookSettings,
)

__all__ = [
    "BudgetSettings",
    "CatalogueSettings",
    "DatasetSettings",
    "ExecutionSettings",
    "FailureSettings",
    "LedgerSettings",
    "ProviderFacts",
    "ProviderSettings",
    "RecipeSettings",
    "Section",
    "Settings",
    "WebhookSettings",
    "build_settings",
    "has_literal_key",
    "known_kinds",
    "load_facts",
    "load_settings",
    "outputs_kept_since",
]
