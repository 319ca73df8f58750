"""What is random in the tests: the same examples each time, or with `--seed` fresh ones and more of them."""

from __future__ import annotations

import secrets
import zlib

import pytest
from hypothesis import settings

FIXED_SEED = 11
MORE = 3
"""How many times as many examples are drawn with fresh seeds."""

settings.register_profile("fixed", derandomize=True, database=None, deadline=None)
settings.register_profile(
    "fresh", max_examples=500, derandomize=False, database=None, deadline=None, print_blob=True
)


def choose(config: pytest.Config) -> None:
    """Take the profile that `--seed` asks for; the workers of a session take the seed that was drawn for all."""
    if hasattr(config, "workerinput"):  # its command line says `fresh` once more
        config.option.seed = config.workerinput["seed"]
    if config.option.seed == "fresh":
        config.option.seed = str(secrets.randbelow(10**6))
    settings.load_profile("fixed" if config.option.seed is None else "fresh")


def examples(count: int) -> int:
    """Give how many examples to draw where so many are drawn each time."""
    return count if settings.get_current_profile_name() == "fixed" else count * MORE


def is_drawn(item: pytest.Item, seed: str | None) -> bool:
    """Tell whether a seed draws a test: of the long ones that are marked `by_turns` about half, always the same."""
    takes_turns = item.get_closest_marker("by_turns") and item.get_closest_marker("long")
    return seed is None or not takes_turns or zlib.crc32(f"{seed} {item.nodeid}".encode()) % 2 == 0


def seed_of(config: pytest.Config) -> int:
    """Give the seed for what draws its examples without Hypothesis."""
    return FIXED_SEED if config.option.seed is None else int(config.option.seed)
