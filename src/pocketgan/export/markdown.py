"""The model card's Markdown as HTML: headings, paragraphs, lists, tables, code. No other Markdown is known."""

from __future__ import annotations

import html
import re
from itertools import groupby

RULE = re.compile(r"^\|(\s*:?-+:?\s*\|)+$")  # between a table's head and its rows


def to_html(text: str) -> str:
    """Markdown as `card.md.j2` writes it; every heading becomes one level deeper."""
    parts = re.split(r"^```\w*\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    made = [f"<pre>{html.escape(part)}</pre>" if place % 2 else _blocks(part) for place, part in enumerate(parts)]
    return "\n".join(part for part in made if part)


def _blocks(text: str) -> str:
    made = []
    for blank, lines in groupby(text.splitlines(), key=lambda line: not line.strip()):
        if not blank:
            made += [_block(kind, list(some)) for kind, some in groupby(lines, key=_kind)]
    return "\n".join(made)


def _kind(line: str) -> str:
    known = (("#", "heading"), ("- ", "item"), ("|", "row"))
    return next((kind for start, kind in known if line.startswith(start)), "text")


def _block(kind: str, lines: list[str]) -> str:
    match kind:
        case "heading":
            return "\n".join(_heading(line) for line in lines)
        case "item":
            return "<ul>" + "".join(f"<li>{_inline(line[2:])}</li>" for line in lines) + "</ul>"
        case "row":
            return _table(lines)
    return f"<p>{_inline(' '.join(lines))}</p>"


def _heading(line: str) -> str:
    marks, _, words = line.partition(" ")
    level = len(marks) + 1
    return f"<h{level}>{_inline(words)}</h{level}>"


def _table(lines: list[str]) -> str:
    rows = [[_inline(cell.strip()) for cell in line.strip("|").split("|")] for line in lines if not RULE.match(line)]
    head, *rest = rows
    top = "<thead><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr></thead>" if any(head) else ""
    if not top:  # the first column says what the second holds
        body = [f'<tr><th scope="row">{first}</th><td>{"</td><td>".join(others)}</td></tr>' for first, *others in rest]
    else:
        body = [f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in rest]
    table = f"<table>{top}<tbody>{''.join(body)}</tbody></table>"
    return f'<div class="scroll" tabindex="0" role="group" aria-label="Table">{table}</div>'


def _inline(text: str) -> str:
    """Text with `code`, everything else escaped."""
    pieces = text.split("`")
    if len(pieces) % 2 == 0:
        return html.escape(text)
    return "".join(
        f"<code>{html.escape(piece)}</code>" if place % 2 else html.escape(piece) for place, piece in enumerate(pieces)
    )
