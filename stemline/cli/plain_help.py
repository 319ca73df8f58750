"""A command's help in the words of its arguments alone: `CONFIG`, and not `{CONFIG} <path>`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperArgument, TyperCommand


class _Argument(TyperArgument):
    """An argument that is called by its metavar, without the type behind it."""

    def display_type_rich(self, ctx: Any) -> str | None:  # noqa: ANN401, ARG002 - as Typer has it, which exports no type
        """Give no type: its help says what it is."""
        return None


class PlainCommand(TyperCommand):
    """A command whose arguments are shown by their names."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - as Typer has them
        super().__init__(*args, **kwargs)
        for parameter in self.params:
            if type(parameter) is TyperArgument:
                parameter.__class__ = _Argument

    def collect_usage_pieces(self, ctx: Any) -> list[str]:  # noqa: ANN401 - as above
        """Give what stands behind the command's name: what is required has no braces."""
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]
