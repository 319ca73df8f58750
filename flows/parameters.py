"""The parameters that flows share, as the form of Prefect's UI shows them; what is wrong with one, as a sentence."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any, get_args

from pydantic import ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo

from stemline.errors import UsageError
from stemline.settings.secret_override import PATTERN

Config = Annotated[
    str,
    Field(
        description="Path of the configuration file, on the machine that runs the flow: from the folder it was "
        "deployed from, or absolute.",
        examples=["configs/scheduled.yaml"],
        min_length=1,
    ),
]
Overrides = Annotated[
    list[Annotated[str, Field(json_schema_extra={"pattern": PATTERN})]] | None,
    Field(
        description="Keys of the configuration to set for this run, each as `key.path=value`, such as "
        "`budget.run=5000`. Anybody can read them here: a key or password is refused, `${VARIABLE}` is taken for it.",
        examples=[["budget.run=5000", "recipe.stems=six"]],
    ),
]
Where = Annotated[
    str | None,
    Field(
        description="Only the manifest's rows for which this SQL condition holds; empty: all of them.",
        examples=["released_on >= '2026-01-01' AND genre = 'jazz'"],
    ),
]
Limit = Annotated[int | None, Field(description="Only the first so many of those rows; empty: all.", ge=1)]
Redrive = Annotated[
    list[str] | None,
    Field(
        description="Instead of the manifest's rows, tracks that came to a bad end: those with these reason codes, "
        "every one that failed for an empty list. Leave it out for a usual run.",
        examples=[["source_unreachable", "job_failed"]],
    ),
]
WaitMinutes = Annotated[
    float,
    Field(
        description="How long to wait while another run holds the same API key, before this one ends as Failed. "
        "Nothing is sent meanwhile.",
        ge=0,
    ),
]
ReleaseName = Annotated[
    str | None,
    Field(
        description="What the release is called, for ever; empty: today's date, such as 2026-11-29.",
        examples=["2026-11", "v1"],
    ),
]
Sample = Annotated[
    int | None,
    Field(description="Read so many audio objects, always the same ones; empty: every one.", ge=0),
]
Decode = Annotated[
    bool, Field(description="Decode each audio object that is read, not only compare its bytes.")
]
Repair = Annotated[
    bool, Field(description="Mend what can be mended for nothing, and say of the rest why it cannot be.")
]


def documented(steps: Callable[..., Any]) -> str:
    """Give a flow's docstring with its parameters' descriptions: the server's form takes them from nowhere else."""
    lines = [inspect.getdoc(steps) or "", "", "Args:"]
    for name, each in inspect.signature(steps, eval_str=True).parameters.items():
        told = [field.description for field in get_args(each.annotation) if isinstance(field, FieldInfo)]
        lines.append(f"    {name}: {' '.join(filter(None, told))}")
    return "\n".join(lines)


def read_parameters(steps: Callable[..., Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Give a flow's parameters as its annotations ask for them; raises UsageError naming those that cannot be."""
    signature = inspect.signature(steps, eval_str=True)
    fields: dict[str, Any] = {
        name: (each.annotation, ... if each.default is each.empty else each.default)
        for name, each in signature.parameters.items()
    }
    model = create_model("Parameters", __config__=ConfigDict(extra="forbid"), **fields)
    try:
        read = model.model_validate(dict(given))
    except ValidationError as error:
        wrong = "; ".join(_sentence(problem["loc"], problem["msg"]) for problem in error.errors())
        raise UsageError(
            f"The flow's parameters are wrong: {wrong}.", fix="Correct them and run it again."
        ) from None
    return {name: getattr(read, name) for name in fields}


def _sentence(location: tuple[int | str, ...], message: str) -> str:
    return f"`{'.'.join(map(str, location))}`: {message[:1].lower()}{message[1:]}"
