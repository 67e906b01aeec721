"""Point 2: flipped bits and cut ends in the program's own checkpoints."""

from __future__ import annotations

import random
from pathlib import Path

import torch

from pocketgan.recipes import gan_recipe
from pocketgan.training.checkpoint import checkpoints, load_newest, save_checkpoint
from pocketgan.training.state import TrainState, new_state
from soak.runs import Count


def small_state() -> TrainState:
    """The state of a small pair with a moving average, before its first step."""
    recipe = gan_recipe("mlp", {"nimg": 1000, "ema_share": 0.2, "latent_dim": 8})
    return new_state(recipe, (1, 8, 8), 0, torch.device("cpu"))


def of_checkpoints(folder: Path, count: int, seed: int = 0) -> Count:
    """Damage the newest of two checkpoints: it must be passed over with a line that names the file, the other taken."""
    state = small_state()
    for nimg in (100, 200):
        state.nimg = nimg
        save_checkpoint(folder, state)
    newest = checkpoints(folder)[-1]
    chance, failed = random.Random(seed), []
    for number in range(count):
        file = chance.choice(sorted(newest.iterdir()))
        whole = file.read_bytes()
        damaged, how = _damaged(whole, chance)
        file.write_bytes(damaged)
        state.nimg = 0
        skipped = load_newest(folder, state)
        if len(skipped) != 1 or str(file) not in skipped[0] or "\n" in skipped[0] or state.nimg != 100:
            failed.append(f"{number}: {how} in {file.name}: {skipped}, nimg {state.nimg}")
        file.write_bytes(whole)
    if load_newest(folder, state) or state.nimg != 200:
        failed.append(f"{newest} does not load though it is whole")
    return Count("flips and truncations of checkpoints", count, failed)


def _damaged(whole: bytes, chance: random.Random) -> tuple[bytes, str]:
    if chance.random() < 0.25:
        length = chance.randrange(len(whole))
        return whole[:length], f"cut to {length} bytes"
    place, bit = chance.randrange(len(whole)), chance.randrange(8)
    damaged = bytearray(whole)
    damaged[place] ^= 1 << bit
    return bytes(damaged), f"bit {bit} of byte {place} flipped"
