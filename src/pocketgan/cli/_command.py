"""How a function becomes a command: its signature gives the options and defaults, its docstring the help.

A `Command` is one row of the table in `pocketgan.cli`. To add an option, add a parameter to the function and its
sentence to the docstring. The fields of a recipe are options by themselves.
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

from cyclopts import Group, Parameter, Token
from cyclopts.validators import Number

from pocketgan import api
from pocketgan.core.errors import UsageError
from pocketgan.core.process import load_torch


class Command(NamedTuple):
    """One command: a function, and how its result is printed."""

    words: str  # as it is typed, without the program's name
    function: Callable[..., Any]
    show: Callable[[Any, Mapping[str, Any]], None]  # for people: the result, and what the function was called with
    facts: Callable[[Any, Mapping[str, Any]], Any]  # what --json prints, of the same
    recipe: Literal["", "Recipe", "ClassifierRecipe"] = ""  # whose fields `**options` takes
    torch: bool = True  # whether the function needs it in any case

    @property
    def summary(self) -> str:
        """The sentence that the docstring begins with."""
        return _documentation(self.function).partition("\n")[0]

    def parsed(self) -> Callable[..., None]:
        """The function that the parser calls: it calls the command's own, and prints what that gives."""
        own = list(_own_options(self.function))
        fields = list(_recipe_options(self)) if self.recipe else []
        lists = {
            name: kind
            for name, kind in inspect.get_annotations(self.function).items()
            if name != "return" and kind in LISTS
        }

        def call(*positional: Any, **named: Any) -> None:
            as_json = named.pop(JSON.name, False)
            for name in named.keys() & lists.keys():
                named[name] = LISTS[lists[name]](name, named[name])
            for field in fields:
                if named.get(field.name) is None:
                    named.pop(field.name, None)
            if self.torch:
                load_torch()
            result = self.function(*positional, **named)
            given = inspect.signature(self.function).bind(*positional, **named)
            given.apply_defaults()
            if as_json:
                print(json.dumps(self.facts(result, given.arguments), indent=2))
            else:
                self.show(result, given.arguments)

        call.__signature__ = inspect.Signature([*own, *fields, JSON])  # type: ignore[attr-defined]
        call.__doc__ = _documentation(self.function).partition("\n\nParameters\n")[0].replace("`", "")
        return call


def _documentation(function: Callable[..., Any]) -> str:
    return inspect.getdoc(function) or ""


# ---- a function's own parameters -----------------------------------------------------------------------------------


def _whole(kind: object, tokens: Sequence[Token]) -> int:
    """A whole number; the parser's own conversion would round 1.5 without a word."""
    try:
        return int(tokens[0].value)
    except ValueError:
        raise ValueError(f"{tokens[0].value!r} is no whole number") from None


def _words(name: str, text: str) -> list[str]:
    """The words of a list with commas between."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _whole_numbers(name: str, text: str) -> list[int]:
    words = _words(name, text)
    for word in words:
        if not word.isdecimal():
            raise UsageError(f"--{name}: {word!r} is no whole number from 0; give them with commas between")
    return [int(word) for word in words]


LISTS: dict[str, Callable[[str, str], list[Any]]] = {"Sequence[str]": _words, "Sequence[int]": _whole_numbers}
TYPES: dict[
    str, Any
] = {  # what the parser reads, by an alternative of the annotation; what only Python can give is none of them
    "str": str,
    "bool": Annotated[bool, Parameter(negative="", show_default=False)],
    "int": Annotated[int, Parameter(converter=_whole)],
    "float": float,
    "Seed": Annotated[int, Parameter(converter=_whole, validator=Number(gte=0, lt=2**63))],
    **dict.fromkeys(LISTS, str),
}
METAVARS = {"str | Path": "PATH", **dict.fromkeys(LISTS, "A,B,…")}  # of values that are not simply of a type
RESERVED = {"label": "--class"}  # options whose names are words of Python, by the parameters that they are
JSON = inspect.Parameter(
    "json_output",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[TYPES["bool"], Parameter(name="--json", help="Print the result as JSON.")],
)


def _own_options(function: Callable[..., Any]) -> Iterator[inspect.Parameter]:
    """The parameters of a function, with the types and sentences that the parser needs."""
    sentences = explanations(function)
    for parameter in inspect.signature(function).parameters.values():
        alternatives = parameter.annotation.split(" | ")
        kind, default = next((TYPES[name] for name in TYPES if name in alternatives), None), parameter.default
        if parameter.kind is parameter.VAR_KEYWORD or kind is None:  # fields of a recipe; what only Python can give
            continue
        if default is None:
            kind = kind | None
        elif parameter.annotation in LISTS and default is not parameter.empty:
            default = ",".join(map(str, default))
        about = Parameter(
            name=RESERVED.get(parameter.name),
            help=sentences[parameter.name],
            metavar=METAVARS.get(parameter.annotation.removesuffix(" | None")),
            show_default=not (default is None or default is False or default == ""),
        )
        yield parameter.replace(annotation=Annotated[kind, about], default=default)


def explanations(function: Callable[..., Any]) -> dict[str, str]:
    """What a docstring in numpydoc's form says of each parameter; ``As in `train`.`` is looked up in that function."""
    section = re.search(
        r"^Parameters\n-+\n(.*?)(?=\n\n\w+\n---|\Z)", _documentation(function), re.MULTILINE | re.DOTALL
    )
    found: dict[str, str] = {}
    for names, lines in re.findall(r"^(\w.*)\n((?:    .*\n?)+)", section[1] if section else "", re.MULTILINE):
        text = " ".join(lines.replace("`", "").split())
        other = re.match(r"As in (\w+)", text)
        for name in names.split(", "):
            there = explanations(getattr(api, other[1]))[name].removesuffix(".") if other else ""
            found[name] = there + text[other.end() :] if other else text
    return found


# ---- the fields of a recipe ----------------------------------------------------------------------------------------


def _recipe_options(command: Command) -> Iterator[inspect.Parameter]:
    """An option for each field of a recipe, grouped by section. Their values are checked in `pocketgan.recipes`."""
    from pocketgan import recipes

    kind, own = getattr(recipes, command.recipe), inspect.signature(command.function).parameters
    sections: list[str] = []
    for field, (section, _) in recipes.field_places(kind).items():
        if field in own or field == "source":  # which is --data
            continue
        holder = kind.model_fields[section].annotation if section else kind
        info = holder.model_fields[field]
        is_flag = info.annotation is bool
        sections += [section] * (section not in sections)
        yield inspect.Parameter(
            field,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                (bool if is_flag else str) | None,
                Parameter(
                    group=Group(f"Recipe: {section}" if section else "Recipe", sort_key=sections.index(section)),
                    help=info.description,
                    metavar=None if is_flag else _value(info.annotation),
                    show_default=_default(info.default),
                ),
            ],
        )


def _value(annotation: Any) -> str:
    """What an option's value is, in a word: INT, FLOAT, TEXT, or the choices."""
    names = {int: "INT", float: "FLOAT"}
    for kind in (annotation, *get_args(annotation)):
        if get_origin(kind) is Literal:
            return "|".join(get_args(kind))
        if kind in (int, float):
            return names[kind]
    return "TEXT"


def _default(value: Any) -> str:
    """What holds without the option: what the recipe says, and what the field is where that says nothing."""
    if value is None:
        return "recipe decides"
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"recipe decides, else {value:g}" if isinstance(value, float) else f"recipe decides, else {value}"
