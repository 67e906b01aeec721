"""The command line: a table of commands, each a function of the Python API, and the program that runs one of them."""

from __future__ import annotations

import io
import signal
import sys
from typing import NoReturn

from cyclopts import App

from pocketgan import api
from pocketgan.bench import api as bench
from pocketgan.cli import _errors
from pocketgan.cli import _printing as printing
from pocketgan.cli._command import Command
from pocketgan.core.process import Terminated, keep_freed_memory, terminate
from pocketgan.recipes.code import trust_here

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
# fmt: off
COMMANDS = (
    #       words                  function               for people           for --json
    Command("run",                 api.run,               printing.run,        printing.run_facts, recipe="Recipe"),
    Command("train",               api.train,             printing.out,        printing.training_facts, recipe="Recipe"),
    Command("generate",            api.generate,          printing.paths,      printing.paths_facts),
    Command("evaluate",            api.evaluate,          printing.card,       printing.model_facts),
    Command("compare",             api.compare,           printing.comparison, printing.model_facts),
    Command("import",              api.import_file,       printing.imported,   printing.imported_facts),
    Command("export",              api.export_model,      printing.exported,   printing.exported_facts),
    Command("report",              api.write_report,      printing.path,       printing.path_facts),
    Command("recipes",             api.list_recipes,      printing.recipes,    printing.recipes_facts, torch=False),
    Command("datasets",            api.list_datasets,     printing.datasets,   printing.datasets_facts),
    Command("info",                api.info,              printing.info,       printing.info_facts),
    Command("doctor",              api.doctor,            printing.machine,    printing.machine_facts),
    Command("classify train",      api.train_classifier,  printing.classifier, printing.classifier_facts, recipe="ClassifierRecipe"),
    Command("classify label",      api.label_images,      printing.out,        printing.labels_facts),
    Command("judge train",         api.train_judge,       printing.judge,      printing.judge_facts, recipe="ClassifierRecipe"),
    Command("steer fit",           api.fit_steering,      printing.fits,       printing.fits_facts),
    Command("steer invert",        api.invert,            printing.inversion,  printing.inversion_facts),
    Command("steer interpolate",   api.interpolate,       printing.out,        printing.images_facts),
    Command("steer directions",    api.show_directions,   printing.out,        printing.images_facts),
    Command("bench keep",          bench.keep,            printing.path,       printing.path_facts),
    Command("bench results",       bench.results,         printing.path,       printing.path_facts),
    Command("bench throughput",    bench.throughput,      printing.path,       printing.path_facts),
    Command("bench threads",       bench.threads,         printing.path,       printing.path_facts),
    Command("bench curves",        bench.curves,          printing.path,       printing.path_facts),
    Command("bench speedrun",      bench.speedrun,        printing.content,    printing.path_facts, recipe="Recipe"),
    Command("bench known-answers", bench.known_answers,   printing.path,       printing.path_facts),
    Command("bench steering",      bench.steering,        printing.path,       printing.path_facts),
    Command("bench export",        bench.export,          printing.path,       printing.path_facts),
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
    debug = DEBUG in words
    if TRUST_CODE in words:
        trust_here()
    words = [word for word in words if word not in (DEBUG, TRUST_CODE)]
    signal.signal(signal.SIGTERM, terminate)
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    try:
        program(words)(words, exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)  # what does not get out is known now; sys.stdout may be None
        raise SystemExit(0)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except (Exception, KeyboardInterrupt, Terminated) as error:
        known = {*GROUPS, *(command.words for command in COMMANDS)}
        _errors.fail(*_errors.ending(error, words, known), debug=debug)
