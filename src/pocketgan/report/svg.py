"""The parts of a drawing: SVG elements at places in pixels, coloured by the class names of the page's style."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup


def drawing(parts: Iterable[Markup], width: int, height: float, alt: str) -> Markup:
    """The parts as one picture, with `alt` for those who do not see it."""
    return Markup('<svg class="chart" viewBox="0 0 {} {:.0f}" role="img" aria-label="{}">{}</svg>').format(
        width, height, alt, Markup("").join(parts)
    )


STYLE = (
    "svg{background:#fdfcf9;color:#1f1d1a;font:13px system-ui,sans-serif}"
    "text{fill:currentColor}text.muted{fill:#69645c}.accent{color:#b3401a}line,polyline{stroke:currentColor;fill:none}.rule{stroke:#e3ded4}.line{stroke-width:2}"
    ".dot{fill:currentColor;stroke:#fdfcf9;stroke-width:1.5}"
)  # the page's, in its light colours


def standalone(picture: str) -> str:
    """A drawing as a file of its own, with the style that it has in a page."""
    head, rest = picture.split(">", 1)
    return f'{head} xmlns="http://www.w3.org/2000/svg"><style>{STYLE}</style>{rest}\n'


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> Markup:
    """A line of text; what comes from outside is escaped."""
    mark = Markup('<text x="{:.1f}" y="{:.1f}" class="{}" text-anchor="{}">{}</text>')
    return mark.format(x, y, kind.strip(), anchor, words)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """A straight line."""
    return Markup('<line x1="{:.1f}" y1="{:.1f}" x2="{:.1f}" y2="{:.1f}" class="{}"/>').format(x1, y1, x2, y2, kind)


def dot(x: float, y: float, radius: float, accent: bool) -> Markup:
    """A filled circle."""
    kind = "dot accent" if accent else "dot"
    return Markup('<circle cx="{:.1f}" cy="{:.1f}" r="{}" class="{}"/>').format(x, y, radius, kind)
