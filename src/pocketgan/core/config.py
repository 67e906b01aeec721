"""The base of every configuration class. Imports no torch: help, listing and validation must be instant."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, ValidationError


class Config(BaseModel):
    """Frozen; an unknown field is an error, and so is a number that is infinite or none."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def complaint(error: ValidationError) -> str:
    """The first thing wrong, as one line that names the field."""
    first = error.errors()[0]
    name = ".".join(str(part) for part in first["loc"]) or "content"
    given = "" if isinstance(first["input"], dict) else f", not {first['input']!r}"
    return f"field '{name}': {first['msg'].removeprefix('Value error, ').removeprefix('Input ')}{given}"
