"""The command line: how a function of the Python API becomes a command, the table of commands, and the program.

A function's signature gives a command's options and defaults, its docstring the help. To add an option, add a parameter
to the function and its sentence to the docstring. The fields of a recipe are options by themselves.
"""

from __future__ import annotations

import inspect
import io
import json
import re
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, NoReturn, get_args, get_origin

from cyclopts import App, Group, Parameter, Token
from cyclopts.validators import Number

from pocketgan import api
from pocketgan.bench import api as bench
from pocketgan.cli import _errors
from pocketgan.cli import _printing as printing
from pocketgan.core.errors import UsageError
from pocketgan.core.process import Terminated, came_by, keep_freed_memory, load_torch, shared_by, terminate
from pocketgan.lab import api as lab
from pocketgan.sweep import api as sweeps

DEBUG, TRUST_CODE = "--debug", "--trust-code"
HELP = (
    "Train, judge, steer and ship GANs for small images. Any command takes --debug: it shows the traceback behind an "
    "error's line; and --trust-code: it lets a model run the Python file that its networks are defined in."
)
GROUPS = {
    "classify": "Train a classifier, or label images with one.",
    "judge": "Make the network that scores.",
    "steer": "Ask a frozen, unconditional generator for classes; walk in its latents.",
    "bench": "Make the published figures.",
}


class Command(NamedTuple):
    """One command: a function, and how its result is printed."""

    words: str  # as it is typed, without the program's name
    function: Callable[..., Any]
    show: Callable[[Any, Mapping[str, Any]], None]  # for people: the result, and what the function was called with
    facts: Callable[[Any, Mapping[str, Any]], Any]  # what --json prints, of the same
    recipe: Literal["", "Recipe", "ClassifierRecipe", "ImageOptions"] = ""  # whose fields `**options` takes
    torch: bool = True  # whether the function needs it in any case

    @property
    def summary(self) -> str:
        """The sentence that the docstring begins with."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

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
        call.__doc__ = (inspect.getdoc(self.function) or "").partition("\n\nParameters\n")[0].replace("`", "")
        return call


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
PATHS = dict.fromkeys(("str | Path", "str | Path | Images"), "PATH")
METAVARS = {**PATHS, **dict.fromkeys(LISTS, "A,B,…")}  # of values that are not simply of a type
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
        r"^Parameters\n-+\n(.*?)(?=\n\n\w+\n---|\Z)", inspect.getdoc(function) or "", re.MULTILINE | re.DOTALL
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
                    group=Group(_group(command.recipe, section), sort_key=sections.index(section)),
                    help=info.description,
                    metavar=None if is_flag else _value(info.annotation),
                    show_default=_default(info.default, decided=command.recipe != "ImageOptions"),
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


def _group(recipe: str, section: str) -> str:
    """The heading under which the help lists a field."""
    if recipe == "ImageOptions":
        return "Given images"
    return f"Recipe: {section}" if section else "Recipe"


def _default(value: Any, decided: bool) -> str | bool:
    """What holds without the option: what the recipe says where there is one, and what the field is else."""
    if not decided:
        return value if isinstance(value, str) else False
    if value is None:
        return "recipe decides"
    if isinstance(value, bool):
        value = "yes" if value else "no"
    return f"recipe decides, else {value:g}" if isinstance(value, float) else f"recipe decides, else {value}"


# ---- the program ---------------------------------------------------------------------------------------------------

# fmt: off
COMMANDS = (
    #       words                  function               for people           for --json
    Command("run",                 api.run,               printing.run,        printing.run_facts, recipe="Recipe"),
    Command("train",               api.train,             printing.out,        printing.training_facts, recipe="Recipe"),
    Command("generate",            api.generate,          printing.paths,      printing.paths_facts),
    Command("evaluate",            api.evaluate,          printing.card,       printing.model_facts, recipe="ImageOptions"),
    Command("compare",             api.compare,           printing.comparison, printing.model_facts, recipe="ImageOptions"),
    Command("sweep",               sweeps.sweep,          printing.sweep,      printing.sweep_facts),
    Command("import",              api.import_file,       printing.imported,   printing.imported_facts, recipe="ImageOptions"),
    Command("export",              api.export_model,      printing.exported,   printing.exported_facts),
    Command("report",              api.write_report,      printing.path,       printing.path_facts),
    Command("recipes",             api.list_recipes,      printing.recipes,    printing.recipes_facts, torch=False),
    Command("datasets",            api.list_datasets,     printing.datasets,   printing.datasets_facts),
    Command("info",                api.info,              printing.info,       printing.info_facts),
    Command("doctor",              api.doctor,            printing.machine,    printing.machine_facts),
    Command("classify train",      api.train_classifier,  printing.classifier, printing.classifier_facts, recipe="ClassifierRecipe"),
    Command("classify label",      api.label_images,      printing.out,        printing.labels_facts, recipe="ImageOptions"),
    Command("judge train",         api.train_judge,       printing.judge,      printing.judge_facts, recipe="ClassifierRecipe"),
    Command("steer fit",           api.fit_steering,      printing.fits,       printing.fits_facts),
    Command("steer invert",        api.invert,            printing.inversion,  printing.inversion_facts, recipe="ImageOptions"),
    Command("steer interpolate",   api.interpolate,       printing.out,        printing.images_facts),
    Command("steer directions",    api.show_directions,   printing.out,        printing.images_facts),
    Command("lab",                 lab.lab,               printing.nothing,    printing.addresses_facts),
    Command("bench keep",          bench.keep,            printing.path,       printing.path_facts),
    Command("bench results",       bench.results,         printing.path,       printing.path_facts),
    Command("bench throughput",    bench.throughput,      printing.path,       printing.path_facts),
    Command("bench threads",       bench.threads,         printing.path,       printing.path_facts),
    Command("bench curves",        bench.curves,          printing.path,       printing.path_facts),
    Command("bench speedrun",      bench.speedrun,        printing.content,    printing.path_facts, recipe="Recipe"),
    Command("bench objectives",    bench.objectives,      printing.content,    printing.path_facts),
    Command("bench known-answers", bench.known_answers,   printing.path,       printing.path_facts),
    Command("bench steering",      bench.steering,        printing.path,       printing.path_facts),
    Command("bench export",        bench.export,          printing.path,       printing.path_facts),
    Command("bench strangers",     bench.strangers,       printing.path,       printing.path_facts),
)
# fmt: on


def program(words: list[str]) -> App:
    """The parser of a command line. Only the command that the words begin with has its options, for speed."""
    app = App(
        name="pocketgan",
        help=HELP,
        version_flags=["--version"],
        help_format="plaintext",
        suppress_keyboard_interrupt=False,
    )
    groups = {"": app, **{name: App(name=name, help=text) for name, text in GROUPS.items()}}
    for name in GROUPS:
        app.command(groups[name])
    for command in COMMANDS:
        group, _, name = command.words.rpartition(" ")
        if command.words.split() == words[: command.words.count(" ") + 1]:
            groups[group].command(command.parsed(), name=name)
        else:
            groups[group].command(App(name=name, help=command.summary))
    return app


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    came_by(words)
    debug = DEBUG in words
    if TRUST_CODE in words:
        from pocketgan.recipes.code import trust_here

        trust_here()
    words = [word for word in words if word not in (DEBUG, TRUST_CODE)]
    signal.signal(signal.SIGTERM, terminate)
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    try:
        if shared_by() > 1 and words[:1] not in (["train"], ["run"]):
            raise UsageError(
                f"torchrun: pocketgan {' '.join(words[:1])} runs in one process; start it without torchrun"
            )
        program(words)(words, exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)  # what does not get out is known now; sys.stdout may be None
        raise SystemExit(0)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except (Exception, KeyboardInterrupt, Terminated) as error:
        known = {*GROUPS, *(command.words for command in COMMANDS)}
        _errors.fail(*_errors.ending(error, words, known), debug=debug)
