"""What all processes but the first do: they compute their shards of a training, and know no run folder."""

from __future__ import annotations

from contextlib import closing
from functools import partial

import torch

from pocketgan.core.process import held_back
from pocketgan.data.image_set import ImageSet
from pocketgan.training.checkpoint import state_digest
from pocketgan.training.loop import train_steps
from pocketgan.training.processes import BYE, CHECK, END, STEPS, Processes
from pocketgan.training.shards import handed_order, take_state
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import FiniteCheck, TroubleError


def follow(team: Processes, data: ImageSet, device: torch.device) -> None:
    """Train as the first process says, until it says that it is done.

    Raises
    ------
    PocketganError
        Another process is gone or silent, or holds another state.
    KeyboardInterrupt, Terminated
        A signal came. The first process was told of it, and has saved.
    """
    state: TrainState | None = None
    with held_back() as stop:
        while (word := team.hear()) != BYE:
            if word == CHECK and state is not None:
                team.check(partial(state_digest, state))
            if word != STEPS:
                continue
            order = handed_order(team)
            state = new_state(order.recipe, data.shape, len(data.class_names), device)
            take_state(team, order, state, data)

            def stops(_: TrainState, losses: list[float]) -> bool:
                return stop.came is not None

            steps = train_steps(state, data, order.recipe, stops, order.clusters_of, FiniteCheck(state))
            try:
                with closing(steps):
                    for _ in steps:
                        while (word := team.hear()) == CHECK:
                            team.check(partial(state_digest, state))
                        if word == END:
                            break
            except TroubleError:
                pass  # as in the first process, which knows what to do
    stop.obey()
