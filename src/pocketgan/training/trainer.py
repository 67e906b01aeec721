"""One training in its run's folder: begun or gone on with, told to its listeners, rolled back, ended."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

from pocketgan.core.devices import exactness
from pocketgan.core.errors import UsageError
from pocketgan.core.process import Stop, held_back
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import data_facts, made_with, save_state_dict, weights_digest
from pocketgan.networks.contracts import parameter_count
from pocketgan.recipes import Recipe, rebuild_command
from pocketgan.runs.facts import FinishEvent, InexactEvent, PairFacts, RollbackEvent, StartEvent
from pocketgan.training.checkpoint import checkpoints, is_good, load_newest
from pocketgan.training.listeners import Listener, Setup, Training, listeners_of
from pocketgan.training.loop import Milestone, train_steps
from pocketgan.training.state import TrainState, new_state
from pocketgan.training.trouble import ROLLBACKS, FiniteCheck, TroubleError, after_rollbacks


def train_to_the_end(setup: Setup, *, resumes: bool) -> Model:
    """Train in a folder that the caller holds alone, and write the model.

    Parameters
    ----------
    setup
        What was asked for.
    resumes
        Whether there is a run to go on with.

    Raises
    ------
    UsageError
        The run cannot go on bit for bit here, and `setup.inexact` is not set.
    KeyboardInterrupt, Terminated
        A signal came. A checkpoint was written first; a second signal does not wait for it.
    TroubleError
        The health watch saw trouble, and the policy is to stop or the rollbacks are used up.
    """
    run = setup.run
    state = _resumed(setup) if resumes else _fresh(setup, setup.recipe)
    if run.start() is None:
        start = StartEvent(
            nimg=0,
            recipe=setup.recipe.name,
            seed=setup.recipe.seed,
            total_nimg=setup.total,
            images=len(setup.data),
            data=setup.data.digest,
        )
        run.add_event(start)
    listeners = listeners_of(setup)
    with held_back() as stop:
        training = Training(setup, state, _model_of(setup, state), FiniteCheck(state))
        reason = None
        try:
            while reason is None:
                try:
                    reason = _train(training, listeners, stop)
                    for listener in listeners:
                        listener.on_last(training)
                except TroubleError as error:
                    reason = None
                    state = _rolled_back(setup, error)
                    training = Training(setup, state, _model_of(setup, state), FiniteCheck(state))
        finally:
            for listener in listeners:
                listener.on_end(training, reason)
        run.add_event(FinishEvent(nimg=state.nimg, reason=reason))
        model = _model_of(setup, state)
        save_state_dict(model.generator, run.generator_weights)
        save_state_dict(state.discriminator, run.discriminator_weights)
        model.save(run.model)  # last: only then is the run complete
    stop.obey()
    return model


def _train(training: Training, listeners: list[Listener], stop: Stop) -> str:
    """Train to the end of the budget, or to where a listener has a reason to end; the reason."""
    setup, state = training.setup, training.state

    def after_step(_: TrainState, losses: list[float]) -> bool:
        for listener in listeners:
            listener.on_step(training)
        return stop.came is not None or any(listener.wants_milestone(training) for listener in listeners)

    for listener in listeners:
        listener.on_start(training)
    recipe = after_rollbacks(setup.recipe, _rollbacks(setup))
    steps = train_steps(state, setup.data, recipe, after_step, clusters_of=setup.recipe, finite=training.finite)
    for milestone, seconds in _timed(steps):
        state.seconds += seconds
        training.stopping = stop.came is not None
        for listener in listeners:
            if (reason := listener.on_milestone(training, milestone)) is not None:
                return reason
        if training.stopping and not milestone.finished:
            setup.display.line(f"stopped and saved at nimg {state.nimg}")
            stop.obey()
    return "budget"


def _timed(milestones: Iterator[Milestone]) -> Iterator[tuple[Milestone, float]]:
    """Each milestone with the seconds of training that led to it; what the caller does between is not counted."""
    while True:
        began = time.perf_counter()
        milestone = next(milestones, None)
        if milestone is None:
            return
        yield milestone, time.perf_counter() - began


def _fresh(setup: Setup, recipe: Recipe) -> TrainState:
    return new_state(recipe, setup.data.shape, len(setup.data.class_names), setup.device)


def _settled(setup: Setup, state: TrainState) -> TrainState:
    """The state, or after a rollback to the very start one whose first weights have the rollback's seed too."""
    rollbacks = _rollbacks(setup)
    return _fresh(setup, after_rollbacks(setup.recipe, rollbacks)) if state.nimg == 0 and rollbacks else state


def _resumed(setup: Setup) -> TrainState:
    """The state of the newest checkpoint that is whole, and the logs cut back to it."""
    run, state = setup.run, _fresh(setup, setup.recipe)
    for line in load_newest(run.checkpoints, state):
        setup.display.line(f"passed over: {line}")
    changed = _changes(state)
    if changed and not setup.inexact:
        raise UsageError(
            f"--out {run} cannot go on bit for bit: {'; '.join(changed)}; make them the same, or add "
            "--inexact to go on all the same"
        )
    run.cut_logs(state.nimg)
    state = _settled(setup, state)
    setup.display.line(f"resumed at nimg {state.nimg}")
    if changed:
        run.add_event(InexactEvent(nimg=state.nimg, changed=changed))
    return state


def _rollbacks(setup: Setup) -> int:
    return sum(isinstance(event, RollbackEvent) for event in setup.run.events())


def _rolled_back(setup: Setup, error: TroubleError) -> TrainState:
    """The state of the last good checkpoint; or the same error again, where the training is to stop.

    Raises
    ------
    TroubleError
        The policy is to stop, or the rollbacks are used up.
    """
    run = setup.run
    if setup.policy != "rollback":
        run.add_event(error.trouble.as_event("trouble"))
        raise error
    number = _rollbacks(setup) + 1
    if number > ROLLBACKS:
        run.add_event(error.trouble.as_event("trouble"))
        raise TroubleError(error.trouble, f"after {ROLLBACKS} rollbacks, ")
    for path in reversed(checkpoints(run.checkpoints)):
        if is_good(path):
            break
        shutil.rmtree(path)
    state = _fresh(setup, setup.recipe)
    load_newest(run.checkpoints, state)
    run.cut_logs(state.nimg)
    trouble = error.trouble
    run.add_event(RollbackEvent(nimg=state.nimg, kind=trouble.kind, words=trouble.words, from_nimg=trouble.nimg))
    state = _settled(setup, state)
    setup.display.line(f"{error}; rollback {number} of at most {ROLLBACKS}, to nimg {state.nimg}")
    return state


def _model_of(setup: Setup, state: TrainState) -> Model:
    """The state as a model; its networks are the state's own, not copies."""
    facts = PairFacts(
        command=rebuild_command(setup.recipe),
        nimg=state.nimg,
        weights="ema" if state.ema is not None else "live",
        parameters={
            "generator": parameter_count(state.generator),
            "discriminator": parameter_count(state.discriminator),
        },
        data=data_facts(setup.data),
        took_part=_took_part(setup.recipe),
        made_with=made_with(state.device),
    )
    data = setup.data
    return Model(state.sampler, state.discriminator, setup.recipe, data.shape, data.class_names, facts)


def _took_part(recipe: Recipe) -> tuple[str, ...]:
    """Digests of the classifiers that selected; a judge among them must not score the model."""
    return (weights_digest(Classifier.load(recipe.schedule.guide).network),) if recipe.schedule.until_good else ()


def _changes(state: TrainState) -> list[str]:
    """What is other here than where the state's checkpoint was made, in words."""
    here = exactness(state.device)
    return [
        f"{name} was {then}, is {here.get(name)}" for name, then in state.made_with.items() if here.get(name) != then
    ]
