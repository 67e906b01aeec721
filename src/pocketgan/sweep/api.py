"""`sweep` as a function; its signature gives the command's options."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from pocketgan.core.cluster import check_engine
from pocketgan.core.errors import PocketganError
from pocketgan.core.files import user_path

if TYPE_CHECKING:
    from pocketgan.sweep.summary import SweepFacts


def sweep(
    file: str | Path,
    *,
    out: str | Path,
    engine: str = "local",
    address: str | None = None,
    print_commands: bool = False,
    quiet: bool = False,
) -> SweepFacts | list[str]:
    """Train recipes by seeds by fields, score each, and compare the settings over their seeds.

    Parameters
    ----------
    file
        A TOML file: recipes, seeds, fields with the values to try; docs/sweeps.md.
    out
        The sweep's folder. Each training is an ordinary run in it; the same command goes on after a stop.
    engine
        Who runs them: local (this machine, as many at a time as its cores bear) or ray.
    address
        Of a Ray cluster that is there, or auto; without it Ray starts on this machine.
    print_commands
        Only print each training's commands, one line each, for a scheduler such as Slurm.
    quiet
        Show no progress.

    Returns
    -------
    SweepFacts | list[str]
        What was found; or the commands.

    Raises
    ------
    UsageError
        The file, a recipe or a value is wrong; nothing was begun.
    PocketganError
        No training ended well.
    """
    from pocketgan.sweep.plan import cells_of, read_sweep

    path, folder = user_path(file), user_path(out)
    check_engine(engine, address)
    wanted = read_sweep(path)
    cells = cells_of(wanted, path, folder)
    if print_commands:
        start = f"OMP_NUM_THREADS={wanted.threads} pocketgan "
        return [" && ".join(start + shlex.join(words) for words in cell.commands) for cell in cells]
    from pocketgan.core.terminal import Display
    from pocketgan.sweep.engines import Ended, run_by_ray, run_here
    from pocketgan.sweep.summary import summed_up, write_summary

    ended: list[Ended] = []
    folder.mkdir(parents=True, exist_ok=True)
    display = Display(quiet)
    with display.bar(f"sweep of {len(cells)}", len(cells)) as bar:

        def done(one: Ended) -> None:
            ended.append(one)
            bar.update(len(ended), one.cell.name)
            if one.code:
                bar.line(f"{one.cell.name}: {one.line or f'exit code {one.code}'}")

        if engine == "ray":
            run_by_ray(cells, folder, wanted.threads, address, done)
        else:
            run_here(cells, folder, wanted.threads, done)
    places = {cell.name: number for number, cell in enumerate(cells)}
    ended.sort(key=lambda one: places[one.cell.name])
    if all(one.code for one in ended):
        raise PocketganError(f"{folder}: no training ended well; {ended[0].cell.name}: {ended[0].line}")
    facts = summed_up(ended, folder, split=wanted.split, count=wanted.count)
    write_summary(facts, folder)
    return facts
