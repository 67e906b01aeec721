"""The command line: the only argument parser. A file for each verb; none imports torch before it needs it."""

from __future__ import annotations

import io
import signal
import sys
from typing import NoReturn

from cyclopts import App

from pocketgan.cli import (
    bench,
    classify,
    compare,
    describe,
    errors,
    evaluate,
    generate,
    importer,
    judge,
    run,
    steer,
    train,
)
from pocketgan.core.memory import keep_freed_memory
from pocketgan.core.signals import Terminated, terminate

DEBUG = "--debug"
GROUPS = (classify.app, judge.app, steer.app, bench.app)
VERBS = (
    *(run.run, train.train, generate.generate, evaluate.evaluate, compare.compare, importer.import_),
    *(describe.report, describe.recipes, describe.info, describe.doctor),
)

app = App(
    name="pocketgan",
    help="Train, judge, steer and ship GANs for small images. Any command takes --debug: it shows the traceback behind "
    "an error's line.",
    version_flags=["--version"],
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
for entry in (*GROUPS, *VERBS):
    app.command(entry)


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the program and exit: 0 done, 1 failed, 2 wrong usage, 130 and 143 after SIGINT and SIGTERM."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    debug = DEBUG in words
    words = [word for word in words if word != DEBUG]
    signal.signal(signal.SIGTERM, terminate)
    keep_freed_memory()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no reason to stop
    try:
        app(words, exit_on_error=False, print_error=False, result_action="return_value")
        print(end="", flush=True)  # what does not get out is known now; sys.stdout may be None
        raise SystemExit(0)
    except BrokenPipeError:
        raise SystemExit(1) from None
    except (Exception, KeyboardInterrupt, Terminated) as error:
        commands = {*app, *(f"{group.name[0]} {name}" for group in GROUPS for name in group)}
        errors.fail(*errors.ending(error, words, commands), debug=debug)
