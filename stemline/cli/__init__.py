"""The `stemline` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command; a Ctrl-C while its modules are still being imported ends it as quietly as a later one."""
    try:
        from stemline.cli.application import run_command

        run_command()
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
