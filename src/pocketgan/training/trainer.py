"""One training in its run's folder: begun or gone on with, told to its listeners, rolled back, ended."""

from __future__ import annotations

import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import closing

from pocketgan.core.devices import exactness
from pocketgan.core.errors import UsageError
from pocketgan.core.process import Stop, held_back
from pocketgan.models.classifier import Classifier
from pocketgan.models.model import Model
from pocketgan.models.saved import data_facts, made_with, save_state_dict, weights_digest
from pocketgan.networks.contracts import parameter_count
from pocketgan.recipes import Recipe, rebuild_command
from pocketgan.runs.facts import BudgetEvent, FinishEvent, InexactEvent, PairFacts, RollbackEvent, StartEvent
from pocketgan.training.checkpoint import checkpoints, is_good, load_newest, save_checkpoint
from pocketgan.training.health import lengths
from pocketgan.training.listeners import Listener, Setup, Training, listeners_of
from pocketgan.training.loop import Milestone, train_steps
from pocketgan.training.starting import begin_with
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
        run.add_event(_start_event(setup, state))
    if setup.start is not None and state.nimg == 0:
        save_checkpoint(run.checkpoints, state)  # the run goes on though the other one is gone
    listeners = listeners_of(setup)
    end = run.finish() if resumes else None  # kept where the state is that of the end: only the model lacks
    with held_back() as stop:
        training = Training(setup, state, _model_of(setup, state), FiniteCheck(state), stop)
        reason = None if end is None else end.reason
        try:
            while reason is None:
                try:
                    reason = _train(training, listeners, stop)
                    for listener in listeners:
                        listener.on_last(training)
                except TroubleError as error:
                    reason = None
                    state = _rolled_back(setup, error)
                    training = Training(setup, state, _model_of(setup, state), FiniteCheck(state), stop)
        finally:
            for listener in listeners:
                listener.on_end(training, reason)
        if end is None:
            run.add_event(FinishEvent(nimg=state.nimg, reason=reason))
            training.save()  # after the event: what a guide ended must not go on from here
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
        training.losses = losses
        for listener in listeners:
            listener.on_step(training)
        return stop.came is not None or any(listener.wants_milestone(training) for listener in listeners)

    for listener in listeners:
        listener.on_start(training)
    recipe = after_rollbacks(setup.recipe, _rollbacks(setup))
    steps = train_steps(state, setup.data, recipe, after_step, clusters_of=setup.recipe, finite=training.finite)
    with closing(steps):
        for milestone, seconds in _timed(steps):
            state.seconds += seconds
            if milestone.stopping and stop.came is None:
                stop.came = signal.SIGTERM
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


def _start_event(setup: Setup, state: TrainState) -> StartEvent:
    event = StartEvent(
        nimg=0,
        recipe=setup.recipe.name,
        seed=setup.recipe.seed,
        total_nimg=setup.total,
        images=len(setup.data),
        data=setup.data.digest,
    )
    if setup.start is None:
        return event
    begun = {"start_from": setup.start.digest, "lengths": lengths(state.generator, state.discriminator)}
    return event.model_copy(update={**begun, "took_part": setup.start.took_part})


def _fresh(setup: Setup, recipe: Recipe) -> TrainState:
    state = new_state(recipe, setup.data.shape, len(setup.data.class_names), setup.device)
    if setup.start is not None:
        begin_with(state, setup.start)
    return state


def _newest(setup: Setup) -> TrainState:
    """The state of the newest checkpoint that is whole, or the first state where there is none."""
    run, state = setup.run, _fresh(setup, setup.recipe)
    for line in load_newest(run.checkpoints, state):
        setup.display.line(f"passed over: {line}")
    if setup.recipe.model.start_from is not None and setup.start is None and not state.made_with:
        raise UsageError(
            f"--out {run} holds no whole checkpoint, and its first weights are another model's; add --start-from FOLDER"
        )
    return state


def _settled(setup: Setup, state: TrainState) -> TrainState:
    """The state, or after a rollback to the very start one whose first weights have the rollback's seed too."""
    rollbacks = _rollbacks(setup)
    if state.nimg or not rollbacks or setup.recipe.model.start_from is not None:
        return state
    return _fresh(setup, after_rollbacks(setup.recipe, rollbacks))


def _resumed(setup: Setup) -> TrainState:
    """The state of the newest checkpoint that is whole, and the logs cut back to it."""
    run, state = setup.run, _newest(setup)
    changed = _changes(state)
    if changed and not setup.inexact:
        raise UsageError(
            f"--out {run} cannot go on bit for bit: {'; '.join(changed)}; make them the same, or add "
            "--inexact to go on all the same"
        )
    run.cut_logs(state.nimg, setup.total)
    state = _settled(setup, state)
    setup.display.line(f"resumed at nimg {state.nimg}")
    if setup.new_budget and (line := _what_follows_the_budget(setup.recipe, state.nimg)):
        setup.display.line(line)
    if changed:
        run.add_event(InexactEvent(nimg=state.nimg, changed=changed))
    return state


def _follows_budget(recipe: Recipe) -> bool:
    return recipe.schedule.lr_hold < 1 or recipe.schedule.ema_share > 0


def _what_follows_the_budget(recipe: Recipe, nimg: int) -> str:
    """A line about a training that goes on from `nimg` with another budget; empty where nothing follows it."""
    schedule = recipe.schedule
    if not _follows_budget(recipe):
        return ""
    names = ["the rate"] * (schedule.lr_hold < 1) + ["the average"] * (schedule.ema_share > 0)
    verb, pronoun, those = ("follows", "it is", "that") if len(names) == 1 else ("follow", "they are", "those")
    budget = f"{schedule.epochs:g} epochs" if schedule.epochs is not None else f"{schedule.nimg:,} images"
    here = f"from here on {pronoun} {those} of {budget}, as after {nimg:,} images of a run of {budget}"
    return f"{' and '.join(names)} {verb} the budget: {here}"


def _command(setup: Setup) -> str | None:
    """The command that makes the model again; None where it needs more than one."""
    longer = any(isinstance(event, BudgetEvent) for event in setup.run.events())
    return None if longer and _follows_budget(setup.recipe) else rebuild_command(setup.recipe)


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
    state = _newest(setup)
    run.cut_logs(state.nimg, setup.total)
    trouble = error.trouble
    run.add_event(RollbackEvent(nimg=state.nimg, kind=trouble.kind, words=trouble.words, from_nimg=trouble.nimg))
    state = _settled(setup, state)
    setup.display.line(f"{error}; rollback {number} of at most {ROLLBACKS}, to nimg {state.nimg}")
    return state


def _model_of(setup: Setup, state: TrainState) -> Model:
    """The state as a model; its networks are the state's own, not copies."""
    facts = PairFacts(
        command=_command(setup),
        nimg=state.nimg,
        weights="ema" if state.ema is not None else "live",
        parameters={
            "generator": parameter_count(state.generator),
            "discriminator": parameter_count(state.discriminator),
        },
        data=data_facts(setup.data),
        took_part=_took_part(setup),
        made_with=made_with(state.device),
    )
    data = setup.data
    return Model(state.sampler, state.discriminator, setup.recipe, data.shape, data.class_names, facts)


def _took_part(setup: Setup) -> tuple[str, ...]:
    """Digests of the classifiers that selected, here or before; a judge among them must not score the model."""
    first, schedule = setup.run.start(), setup.recipe.schedule
    own = (weights_digest(Classifier.load(schedule.guide).network),) if schedule.until_good else ()
    return own if first is None else tuple(dict.fromkeys((*first.took_part, *own)))


def _changes(state: TrainState) -> list[str]:
    """What is other here than where the state's checkpoint was made, in words."""
    here = exactness(state.device)
    return [
        f"{name} was {then}, is {here.get(name)}" for name, then in state.made_with.items() if here.get(name) != then
    ]
