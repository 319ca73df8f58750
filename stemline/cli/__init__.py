"""The `stemline` command."""

from stemline.cli.application import app, main

__all__ = ["app", "main"]
