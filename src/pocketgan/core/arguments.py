"""What a public function is given, checked against its signature: whatever does not fit gets one line.

The command line's values have passed a parser; those given in Python have not. `checked` reads the annotations, which
are the one declaration of what a function takes, so that no function needs checks of kinds of its own. Imports no
torch: classes are known by their names.
"""

from __future__ import annotations

import functools
import inspect
import math
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, ParamSpec, TypeAlias, TypeVar

from pocketgan.core.errors import UsageError
from pocketgan.core.files import user_path

P = ParamSpec("P")
T = TypeVar("T")
Seed: TypeAlias = int  # 0 to 2**63 - 1
Images: TypeAlias = Any  # images as an object of Python's: what `data.given.source_of` takes beside names and paths

MOST = 10**12  # of any whole number but a seed: what is counted is less
SEEDS = 2**63
SHOWN = 60  # characters of a wrong value in the error line


class _Unfit(Exception):  # noqa: N818  # never leaves this module
    """A value is none of an alternative's."""


def _whole(value: object) -> int:
    """A whole number, of Python, NumPy or torch; never a truth value."""
    if isinstance(value, bool) or "bool" in str(getattr(value, "dtype", "")):
        raise _Unfit
    try:
        return operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        raise _Unfit from None


def _count(value: object) -> int:
    number = _whole(value)
    if abs(number) > MOST:
        raise UsageError(f"{number:.3g} is too large" if abs(number) < 10**300 else "the number is far too large")
    return number


def _seed(value: object) -> int:
    number = _whole(value)
    if not 0 <= number < SEEDS:
        raise UsageError(f"{number} must lie between 0 and 2^63 - 1" if abs(number) < 10**30 else "it is too large")
    return number


def _real(value: object) -> float:
    """A finite number."""
    if isinstance(value, bool | str | bytes):
        raise _Unfit
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise _Unfit from None
    if not math.isfinite(number):
        raise _Unfit
    return number


def _truth(value: object) -> bool:
    if isinstance(value, bool) or type(value).__name__ == "bool":  # NumPy's too
        return bool(value)
    raise _Unfit


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    raise _Unfit


def _path(value: object) -> object:
    if isinstance(value, os.PathLike) and isinstance(os.fspath(value), str):
        return value
    raise _Unfit


def _texts(value: object) -> Sequence[str]:
    """A list of texts; one text alone is a list of one."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return value
    raise _Unfit


def _collection(value: object) -> object:
    if isinstance(value, list | tuple | set | frozenset) and all(isinstance(item, str) for item in value):
        return value
    raise _Unfit


def _whole_numbers(value: object) -> list[int]:
    if isinstance(value, list | tuple):
        return [_whole(item) for item in value]
    raise _Unfit


def _mapping(value: object) -> object:
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return value
    raise _Unfit


def _callable(value: object) -> object:
    if callable(value):
        return value
    raise _Unfit


def _images(value: object) -> object:
    """What may hold images: an image set, an array, or what has a length and items. `data.given` looks closely."""
    if isinstance(value, str | bytes | type):
        raise _Unfit
    if any(base.__name__ == "ImageSet" for base in type(value).__mro__) or hasattr(value, "__array__"):
        return value
    if hasattr(value, "__getitem__") and hasattr(value, "__len__"):
        return value
    raise _Unfit


class _Kind(NamedTuple):
    read: Callable[[object], object]  # gives the value as the function expects it, or raises `_Unfit`
    words: str


KINDS = {
    "int": _Kind(_count, "a whole number"),
    "Seed": _Kind(_seed, "a whole number"),
    "float": _Kind(_real, "a finite number"),
    "bool": _Kind(_truth, "True or False"),
    "str": _Kind(_text, "text"),
    "Path": _Kind(_path, "a path"),
    "Sequence[str]": _Kind(_texts, "a list of texts"),
    "Sequence[int]": _Kind(_whole_numbers, "a list of whole numbers"),
    "Collection[str]": _Kind(_collection, "a list of texts"),
    "Mapping[str, float]": _Kind(_mapping, "a dict with names"),
    "Mapping[str, Any]": _Kind(_mapping, "a dict with names"),
    "Images": _Kind(_images, "images (an array, a tensor, a pair of images and labels, a data set with a length)"),
    "Factory": _Kind(_callable, "a class or function"),
}


def checked(function: Callable[P, T]) -> Callable[P, T]:
    """Check each argument of a public function against its annotation before the function runs.

    Whole numbers of NumPy and of torch become Python's, and a text where texts are listed becomes a list of one. What
    an annotation says beyond `KINDS` is taken for the name of a class; ``Any`` and generic types are not checked.

    Raises
    ------
    UsageError
        An argument is nothing of what its annotation names; the line names both.
    TypeError
        An argument is missing or unknown, as Python has it.
    """
    signature = inspect.signature(function)
    readers = {name: _reader(parameter) for name, parameter in signature.parameters.items()}

    @functools.wraps(function)
    def call(*positional: P.args, **named: P.kwargs) -> T:
        try:
            given = signature.bind(*positional, **named)
        except TypeError:
            return function(*positional, **named)  # raises it in the function's own words
        for name, value in given.arguments.items():
            kind = signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_KEYWORD:
                continue
            if kind is inspect.Parameter.VAR_POSITIONAL:
                given.arguments[name] = tuple(readers[name](item) for item in value)
            else:
                given.arguments[name] = readers[name](value)
        return function(*given.args, **given.kwargs)

    return call


def _reader(parameter: inspect.Parameter) -> Callable[[Any], Any]:
    """What checks one parameter's values."""
    annotation = parameter.annotation
    alternatives = list(_alternatives(annotation)) if isinstance(annotation, str) else []
    kinds = [KINDS[name] for name in alternatives if name in KINDS]
    classes = [name for name in alternatives if name not in KINDS and name != "None"]
    unknown = not alternatives or "Any" in alternatives or any("[" in name for name in classes)

    def read(value: Any) -> Any:
        named = parameter.name
        if unknown or (value is None and "None" in alternatives):
            return value
        if any(base.__name__ in classes for base in type(value).__mro__):
            return value
        for kind in kinds:
            try:
                found = kind.read(value)
            except _Unfit:
                continue
            except UsageError as error:
                raise UsageError(f"{named}: {error}") from None
            if "Path" in alternatives and isinstance(found, str | os.PathLike):
                user_path(os.fspath(found))  # refuses what no file can be called
            return found
        words = [*(kind.words for kind in kinds), *(f"{_article(name)} {name}" for name in classes)]
        raise UsageError(f"{named} must be {' or '.join(dict.fromkeys(words))}, not {_told(value)}")

    return read


def _alternatives(annotation: str) -> Iterator[str]:
    """The parts of ``A | B[C | D]`` at the top level."""
    depth, begin = 0, 0
    for place, sign in enumerate(annotation):
        depth += (sign == "[") - (sign == "]")
        if sign == "|" and depth == 0:
            yield annotation[begin:place].strip()
            begin = place + 1
    yield annotation[begin:].strip()


def _article(name: str) -> str:
    return "an" if name[0] in "AEIOU" else "a"


def _told(value: object) -> str:
    """A wrong value on one short line: itself where that is short, else its kind."""
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return f"{type(value).__name__} {value.dtype} {list(value.shape)}"
    try:
        shown = " ".join(repr(value).split())
    except Exception:  # of a stranger's class, or of a number too long to print
        return type(value).__name__
    return shown if len(shown) <= SHOWN else f"{type(value).__name__} {shown[:SHOWN]}…"
