"""How many files and functions of the package a command passes: ``python tests/hops.py generate digits --count 10``.

``step RECIPE`` counts one training step instead. Figures in docs/architecture.md are made by it. What the cache keeps
is not made again, so ``evaluate digits --count 1000`` is counted the second time.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pocketgan

PACKAGE = str(Path(pocketgan.__file__).parent)


@contextmanager
def counted() -> Iterator[set[tuple[str, str]]]:
    """The package's functions that are called inside the block, as (file, name); what importing calls is left out."""
    called: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_qualname.startswith("<"):
            back: FrameType | None = frame
            while back is not None:  # a class body or a table that is made while a module is imported
                if back.f_code.co_name == "<module>" and back.f_code.co_filename.startswith(PACKAGE):
                    return
                back = back.f_back
            called.add((code.co_filename.removeprefix(PACKAGE), code.co_qualname))

    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def one_step(name: str) -> set[tuple[str, str]]:
    """What one step in the middle of a training calls."""
    import torch

    from pocketgan.data.load import load_images
    from pocketgan.recipes import gan_recipe
    from pocketgan.training.loop import train_steps
    from pocketgan.training.state import new_state

    data = load_images("mnist", "train")
    recipe = gan_recipe(name, {"nimg": 10_000_000})
    state = new_state(recipe, data.shape, len(data.class_names), torch.device("cpu"))
    steps = train_steps(state, data, recipe, lambda state, losses: True)
    next(steps)
    with counted() as called:
        next(steps)
    return called


def main() -> None:
    words = [word for word in sys.argv[1:] if word != "--list"]
    if words[:1] == ["step"]:
        called = one_step(words[1])
    else:
        from pocketgan.cli import main as program

        with counted() as called, suppress(SystemExit):
            program(words)
    print(f"{len({file for file, _ in called})} files, {len(called)} functions: {' '.join(words)}", file=sys.stderr)
    if "--list" in sys.argv:
        for file in sorted({file for file, _ in called}):
            print(file, ", ".join(sorted(name for there, name in called if there == file)))
    modules = [len(path.read_text().splitlines()) for path in Path(PACKAGE).rglob("*.py")]
    print(f"{len(modules)} modules, median {sorted(modules)[len(modules) // 2]} lines", file=sys.stderr)


if __name__ == "__main__":
    main()
