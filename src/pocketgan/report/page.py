"""What all pages share: the templates, and charts in two widths."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pocketgan.report.charts import NARROW, WIDE

ENLARGED_WIDTH = 1440  # pixels; twice the column of a page, for dense screens


def render(template: str, **content: Any) -> str:
    """A page of this room's templates."""
    return _environment().get_template(template).render(content)


@cache
def _environment() -> Environment:
    loader = PackageLoader("pocketgan.report", "")
    return Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)


def both_widths(chart: Callable[..., Markup]) -> Markup:
    """The chart drawn for a wide and for a narrow page, of which the style shows one."""
    wide, narrow = chart(width=WIDE), chart(width=NARROW)
    return Markup('<div class="wide">{}</div><div class="narrow">{}</div>').format(wide, narrow) if wide else wide
