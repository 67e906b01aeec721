"""The one training loop of the small networks that methods learn."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

WARM_UP = 50  # steps
MOST_GRADIENT = 5.0  # norm at which gradients are cut
WATCH_EVERY = 20  # steps


def descend(
    parameters: Iterable[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    steps: int,
    *,
    rate: float,
    decay: float = 0.0,
    watch: Callable[[float, str], None] = lambda done, note: None,
) -> None:
    """AdamW with a short warm-up and a rate that falls to nothing.

    Parameters
    ----------
    parameters
        What is learned.
    loss_at
        From the number of a step to its loss.
    steps
        How many.
    rate, decay
        The highest rate, and the weight decay.
    watch
        Told the share that is done, and the loss.
    """
    learned = list(parameters)
    optimizer = torch.optim.AdamW(learned, rate, weight_decay=decay, fused=True)
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * min(1.0, (step + 1) / WARM_UP) * (1.0 - step / steps)
        loss = loss_at(step)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, MOST_GRADIENT)
        optimizer.step()
        if step % WATCH_EVERY == 0 or step + 1 == steps:
            watch((step + 1) / steps, f"loss {float(loss.detach()):.3f}")
