"""One module or package a vendor: it builds requests and reads answers, and does no I/O."""

from __future__ import annotations

import importlib
import pkgutil

from stemline.errors import ConfigError
from stemline.protocol import Provider
from stemline.settings import ProviderFacts


def load_provider(facts: ProviderFacts) -> Provider:
    """Give the provider that speaks the dialect of these facts.

    A new dialect is a new module here with a function `build(facts)`; nothing else needs to know it.
    """
    known = sorted(module.name for module in pkgutil.iter_modules(__path__))
    if facts.dialect not in known:
        raise ConfigError(
            f"The dialect {facts.dialect!r} is not known.", fix=f"Use one of: {', '.join(known)}."
        )
    provider: Provider = importlib.import_module(f"{__name__}.{facts.dialect}").build(facts)
    return provider
