"""Networks that are code: a user's Python file, known by its sha256, and whom it is trusted from. Imports no torch.

A file runs where its user trains with it. A model that brings one runs it only if that very file was trained with here
(its sha256 is in the user's own list), or if the user says so (`--trust-code`).
"""

from __future__ import annotations

import ast
import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from pocketgan.core.errors import PocketganError, UsageError
from pocketgan.core.files import read_bytes, write_bytes, write_text

CODE = "networks.py"  # what the copied file is called, in a run and in a model's folder
MAX_CODE_BYTES = 1 << 20
Factory = Callable[..., Any]  # a class, or a function that makes a network

EVERYTHING = "*"
VARIABLE = "POCKETGAN_CONFIG"  # names another folder for the user's list

_sources: dict[str, bytes] = {}  # files by their sha256
_given: dict[str, tuple[Factory, Factory]] = {}  # classes that were given in Python, by their names
_found_at: dict[str, Path] = {}  # where each was read
_trusted_here: set[str] = set()  # by this process, beside the user's list


def remember_file(path: Path) -> str:
    """Read a Python file, and keep it by its sha256, which is returned.

    Raises
    ------
    PocketganError
        It cannot be read.
    UsageError
        It is no Python.
    """
    source = read_bytes(path, MAX_CODE_BYTES)
    try:
        ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        line = getattr(error, "lineno", None)
        raise UsageError(f"{path} is not Python{f', see line {line}' if line else ''} ({error.args[0]})") from error
    digest = hashlib.sha256(source).hexdigest()
    _sources[digest], _found_at[digest] = source, path
    return digest


def remember_classes(generator: Factory, discriminator: Factory, key: str | None = None) -> str:
    """Keep two classes or factories by a key, or by their names without one; the key is returned.

    Raises
    ------
    UsageError
        One is a network: its first weights would not follow from the seed.
    """
    for made in (generator, discriminator):
        if not hasattr(made, "__qualname__"):
            raise UsageError(f"give the class {type(made).__name__}, not a network: its first weights follow the seed")
    key = key or " and ".join(f"{made.__module__}.{made.__qualname__}" for made in (generator, discriminator))
    _given[key] = generator, discriminator
    return key


def classes_of(networks: str) -> tuple[Factory, Factory] | None:
    """The classes of these names, if they were given to this process."""
    return _given.get(networks)


def find_beside(path: Path, networks: str) -> None:
    """Remember the code file beside a recipe or a model, if it is there and is the one that is meant."""
    if networks not in _sources and (path.parent / CODE).is_file():
        remember_file(path.parent / CODE)


def write_code(folder: Path, networks: str | None) -> dict[str, str]:
    """Copy the file with this sha256 into a folder; its name and sha256, or nothing where it is not at hand."""
    source = _sources.get(networks or "")
    if networks is None or source is None:
        return {}
    write_bytes(folder / CODE, source)
    return {CODE: networks}


def _list_of_trusted() -> Path:
    named = os.environ.get(VARIABLE)
    return (Path(named) if named else user_config_path("pocketgan")) / "trusted-networks.txt"


def trust(networks: str) -> None:
    """Put a file's sha256 into the user's list: the user trains with it here."""
    if networks not in _sources or _is_trusted(networks):
        return
    _trusted_here.add(networks)
    path = _list_of_trusted()
    known = read_bytes(path).decode("utf-8", "replace") if path.is_file() else ""
    with suppress(PocketganError):  # a home that cannot be written: --trust-code does as well
        write_text(path, f"{known}{networks}\n")


def trust_here(networks: str = EVERYTHING) -> None:
    """Trust a file's sha256, or all code that models bring, for as long as this process lives."""
    _trusted_here.add(networks)


def _is_trusted(networks: str) -> bool:
    path = _list_of_trusted()
    if networks in _trusted_here or EVERYTHING in _trusted_here:
        return True
    return path.is_file() and networks in read_bytes(path).decode("utf-8", "replace").split()


def trusted_source(networks: str) -> bytes | None:
    """The file with this sha256, to be run; None where it is not at hand.

    Raises
    ------
    UsageError
        It is not trusted: neither was it trained with here nor did the user say so. The line says what would run.
    """
    source = _sources.get(networks)
    if source is None or _is_trusted(networks):
        return source
    defined = _defined(ast.parse(source))
    raise UsageError(
        f"{_found_at[networks]} is code that would run: {len(source.splitlines())} lines that define "
        f"{', '.join(defined[:6]) or 'no class'}, sha256 {networks[:12]}; read it, and add --trust-code "
        "(trust_code=True in Python) if you trust it"
    )


def _defined(tree: ast.Module) -> list[str]:
    """The names of a file's classes and functions."""
    return [node.name for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)]


def needed_statements(source: bytes) -> ast.Module:
    """Of a Python file, only what its classes and functions need: so a script that also trains can be used.

    Kept are the statements that bind a name which a kept statement uses, and the calls on such a name
    (``parser.add_argument(...)``), in their order.
    """
    tree = ast.parse(source)
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    needed, kept = set(_defined(tree)), set[int]()
    before = -1
    while len(kept) > before:
        before = len(kept)
        for number, node in enumerate(tree.body):
            if number not in kept and _is_needed(node, needed, imported):
                kept.add(number)
                needed |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return ast.Module([node for number, node in enumerate(tree.body) if number in kept], type_ignores=[])


def _is_needed(node: ast.stmt, needed: set[str], imported: set[str]) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return any((alias.asname or alias.name).partition(".")[0] in needed | {"*"} for alias in node.names)
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return node.name in needed
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Call) and _called_on(node.value) in needed - imported
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.If | ast.Try):
        bound = (part for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store))
        return any(part.id in needed for part in bound)
    return False


def _called_on(call: ast.Call) -> str:
    """The name that a method is called on, such as ``parser`` in ``parser.add_argument(...)``; empty for a function."""
    if not isinstance(call.func, ast.Attribute):
        return ""
    first: ast.expr = call.func
    while isinstance(first, ast.Attribute | ast.Call):
        first = first.value if isinstance(first, ast.Attribute) else first.func
    return first.id if isinstance(first, ast.Name) else ""
