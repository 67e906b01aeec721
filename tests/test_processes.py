"""Shards of a batch: what a step adds up, and several processes that share a training."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pocketgan.core.errors import UsageError
from pocketgan.data.image_set import ImageSet
from pocketgan.recipes import gan_recipe
from pocketgan.training.checkpoint import load_newest, save_checkpoint, state_digest
from pocketgan.training.loop import train_steps
from pocketgan.training.processes import Processes, tree_sum
from pocketgan.training.state import TrainState, new_state

CPU = torch.device("cpu")


def trained(name: str, digits: ImageSet, steps: int, **options: object) -> TrainState:
    recipe = gan_recipe(name, {"nimg": 32 * steps, "batch_size": 32, **options})
    state = new_state(recipe, digits.shape, 10, CPU)
    for _ in train_steps(state, digits, recipe):
        pass
    return state


def gradients(state: TrainState) -> torch.Tensor:
    networks = (state.discriminator, state.generator)
    return torch.cat([value.grad.flatten() for network in networks for value in network.parameters()])  # type: ignore[union-attr]


@pytest.mark.catches("same latents in every shard", "shard lost", "shard counted twice")
@pytest.mark.parametrize("shards", [2, 4])
@pytest.mark.parametrize("name", ["mlp"])
def test_shards_add_up_to_the_gradient_of_the_whole_batch(name: str, shards: int, digits: ImageSet) -> None:
    """The pair has no BatchNorm, so a mean over shards of means over images is the mean over all images."""
    rates = {"lr_g": 1e-7, "lr_d": 1e-7, "precision": "fp32"}  # or the generator would meet another discriminator
    whole, shared = (gradients(trained(name, digits, 1, shards=count, **rates)) for count in (1, shards))
    assert torch.allclose(shared, whole, atol=2e-4 * float(whole.abs().max()))
    assert float(whole.abs().max()) > 1e-4


def test_sums_are_taken_in_a_binary_tree_over_the_shards() -> None:
    rows = torch.tensor([[1e8], [1.0], [-1e8], [1.0]])
    assert tree_sum(rows).item() == 0.0  # in float32; from the left it would be 1
    assert torch.equal(tree_sum(rows), tree_sum(torch.stack([tree_sum(rows[:2]), tree_sum(rows[2:])])))


@pytest.mark.catches("buffers of one shard only")
def test_batch_norms_figures_are_averaged_over_the_shards(digits: ImageSet) -> None:
    """The first layer's running means are linear in the latents, so the whole batch gives the same."""
    rates = {"lr_g": 1e-7, "lr_d": 1e-7}
    whole, shared = (trained("mlp-bn", digits, 1, shards=count, **rates) for count in (1, 4))
    before = new_state(gan_recipe("mlp-bn"), digits.shape, 10, CPU)
    name = next(name for name, _ in whole.generator.named_buffers() if name.endswith("running_mean"))
    ours, theirs, first = (dict(each.generator.named_buffers())[name] for each in (shared, whole, before))
    assert torch.allclose(ours, theirs, atol=1e-5)
    assert not torch.allclose(ours, first, atol=1e-3)
    counters = [value for name, value in shared.generator.named_buffers() if name.endswith("num_batches_tracked")]
    assert all(int(counter) == 1 for counter in counters)


def test_each_shard_has_dropout_of_its_own(digits: ImageSet) -> None:
    recipe = gan_recipe("dcgan", {"nimg": 8, "batch_size": 8, "shards": 2})
    state = new_state(recipe, digits.shape, 10, CPU)
    assert state.drops
    seen: list[torch.Tensor] = []
    kept = [module for module in state.discriminator.modules() if isinstance(module, torch.nn.Dropout)]
    kept[0].register_forward_hook(lambda module, given, made: seen.append((made == 0).flatten(1)))
    for _ in train_steps(state, digits, recipe):
        pass
    assert not torch.equal(seen[0], seen[1])


def test_a_sharded_training_goes_on_bit_for_bit(digits: ImageSet, tmp_path: Path) -> None:
    recipe = gan_recipe("mlp-bn", {"nimg": 32 * 8, "batch_size": 32, "shards": 2})
    whole, half, resumed = (new_state(recipe, digits.shape, 10, CPU) for _ in range(3))
    for _ in train_steps(whole, digits, recipe):
        pass
    next(train_steps(half, digits, recipe, lambda state, _: state.nimg == 96))
    save_checkpoint(tmp_path, half)
    load_newest(tmp_path, resumed)
    assert resumed.nimg == 128
    for _ in train_steps(resumed, digits, recipe):
        pass
    assert state_digest(resumed) == state_digest(whole)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shards": 3}, r"shards is 3.*power of two"),
        ({"shards": 64, "batch_size": 96}, r"batch of 96.*64 shards"),
        ({"shards": 32, "batch_size": 32}, r"two images"),
    ],
)
def test_shards_that_do_not_fit_are_told(options: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        gan_recipe("mlp", options)


def test_processes_that_do_not_divide_the_shards_are_told() -> None:
    team = Processes()
    team.count = 3
    with pytest.raises(UsageError, match=r"3 processes.*--shards 4.*start 1, 2, 4"):
        team.shards(4)


def test_processes_in_python_are_started_by_torchrun(digits: ImageSet, tmp_path: Path) -> None:
    script = "import pocketgan as pg; pg.train('mlp', out='run', processes=2)"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert "torchrun --nproc-per-node 2" in done.stderr
    assert not (tmp_path / "run").exists()


# ---- several processes: no package is needed, but minutes are -------------------------------------------------------

STEPS, BATCH = 60, 16


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    path = tmp_path_factory.mktemp("shared") / "data.npz"
    random = np.random.default_rng(0)
    np.savez(path, images=random.integers(0, 256, (300, 28, 28), dtype=np.uint8), labels=np.arange(300) % 3)
    return path


def words(pictures: Path, out: Path, name: str, processes: int, steps: int = STEPS) -> list[str]:
    fixed = ["train", name, "--data", pictures, "--out", out, "--nimg", steps * BATCH, "--batch-size", BATCH]
    return [*map(str, [*fixed, "--shards", 4, "--device", "cpu", "--processes", processes])]


def started(line: list[str]) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([sys.executable, "-m", "pocketgan", *line], env=environment)


def weights_of(out: Path) -> str:
    files = sorted((out / "model").glob("*.safetensors"))
    assert len(files) == 2
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@pytest.mark.extras
@pytest.mark.parametrize(("name", "counts"), [("mlp", (1, 2, 4)), ("pocket", (1, 2)), ("dcgan", (1, 2))])
def test_any_number_of_processes_gives_the_same_bytes(
    name: str, counts: tuple[int, ...], pictures: Path, tmp_path: Path
) -> None:
    sums = set()
    for count in counts:
        assert started(words(pictures, tmp_path / str(count), name, count)).wait() == 0
        sums.add(weights_of(tmp_path / str(count)))
    assert len(sums) == 1


def worker(launcher: subprocess.Popen[bytes], rank: int) -> int:
    """The process id of a rank, once its training is under way."""
    for _ in range(600):
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                parent = re.search(r"PPid:\s+(\d+)", (folder / "status").read_text())
                environment = (folder / "environ").read_bytes()
            except OSError:
                continue
            if parent and int(parent[1]) == launcher.pid and f"\0RANK={rank}\0".encode() in b"\0" + environment:
                return int(folder.name)
        time.sleep(0.1)
    raise AssertionError("no such process")


def under_way(out: Path) -> None:
    for _ in range(900):
        if (out / "events.jsonl").exists() and "epoch" in (out / "events.jsonl").read_text():
            return
        time.sleep(0.1)
    raise AssertionError("the training did not begin")


LONG = 1500  # steps


@pytest.fixture(scope="module")
def unbroken(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    out = tmp_path_factory.mktemp("unbroken") / "run"
    assert started(words(pictures, out, "mlp", 1, LONG)).wait() == 0
    return weights_of(out)


@pytest.mark.extras
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_process_ends_the_others_and_another_number_goes_on(
    rank: int, pictures: Path, unbroken: str, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    launcher = started(words(pictures, out, "mlp", 2, LONG))
    victim = worker(launcher, rank)
    under_way(out)
    os.kill(victim, signal.SIGKILL)
    assert launcher.wait(timeout=60) != 0
    assert not (out / "model").exists()
    assert started(words(pictures, out, "mlp", 4 if rank else 1, LONG)).wait() == 0
    assert weights_of(out) == unbroken


@pytest.mark.extras
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
def test_a_training_outlives_its_launcher(pictures: Path, unbroken: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    launcher = started(words(pictures, out, "mlp", 2, LONG))
    worker(launcher, 1)
    under_way(out)
    launcher.kill()
    launcher.wait()
    for _ in range(3000):
        if (out / "model" / "model.json").exists():
            break
        time.sleep(0.1)
    assert weights_of(out) == unbroken


@pytest.mark.extras
@pytest.mark.skipif(sys.platform != "linux", reason="processes are found in /proc")
@pytest.mark.parametrize("rank", [0, 1])
def test_a_signal_to_any_process_saves_and_ends_all(rank: int, pictures: Path, unbroken: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    launcher = started(words(pictures, out, "mlp", 2, LONG))
    told = worker(launcher, rank)
    under_way(out)
    os.kill(told, signal.SIGTERM)
    assert launcher.wait(timeout=60) == 143
    assert list((out / "checkpoints").glob("nimg-*"))
    assert started(words(pictures, out, "mlp", 2, LONG)).wait() == 0
    assert weights_of(out) == unbroken


@pytest.mark.extras
def test_one_line_tells_what_no_process_can_do(pictures: Path, tmp_path: Path) -> None:
    line = [*words(tmp_path / "nothing", tmp_path / "run", "mlp", 2)]
    done = subprocess.run([sys.executable, "-m", "pocketgan", *line], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nothing is missing" in done.stderr
    assert not (tmp_path / "run").exists()


DIVERGED = """
import torch
from pocketgan.core.errors import PocketganError
from pocketgan.training.processes import processes
team = processes()
if team.rank:
    team.hear()
try:
    team.check(lambda: f"{team.rank:064x}")
except PocketganError as error:
    print(error)
"""


@pytest.mark.extras
@pytest.mark.catches("unequal states saved")
def test_unequal_states_are_never_saved(tmp_path: Path) -> None:
    script = tmp_path / "diverged.py"
    script.write_text(DIVERGED)
    line = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(line, capture_output=True, text=True)
    assert done.stdout.count("process 1 holds another state") == 2, done.stderr
