"""The lines that say what each step of bringing up came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from orchestration import objects

Echo = Callable[[str], object]


@dataclass
class Steps:
    """Steps taken one after the other, a line each; `+` stands before what was missing."""

    echo: Echo
    is_changed: bool = False
    _began: float = field(default_factory=time.monotonic)

    def take(self, name: str, step: Callable[[], bool], what: str) -> None:
        """Take a step, which gives whether it changed anything."""
        began = time.monotonic()
        is_changed = step()
        self.say(name, f"{what} ({time.monotonic() - began:.0f} s)" if is_changed else what, is_changed)

    def say(self, name: str, what: str, is_changed: bool) -> None:  # noqa: FBT001 - the two of every line
        """Say what a step came to."""
        self.is_changed |= is_changed
        self.echo(f"{'+' if is_changed else ' '} {name:<12}{what}")

    @property
    def seconds(self) -> float:
        """How long all of it took until now."""
        return time.monotonic() - self._began


def take_secrets(steps: Steps, around: Mapping[str, str]) -> None:
    """Have the secret blocks, and name the variables of those that are missing."""
    is_changed, missing = objects.ensure_secrets(around)
    variables = objects.configured_variables()
    held = [objects.block_name(each) for each in variables if each not in missing]
    steps.say("secrets", ", ".join(held) or "none yet", is_changed)
    if missing:
        steps.echo(f"    not set: {', '.join(missing)}; export what your catalogue needs, and do this again.")


def take_automations(steps: Steps) -> None:
    """Have the automations, and say how many there are."""
    count, is_changed = objects.ensure_automations()
    steps.say("automations", str(count or "none"), is_changed)
