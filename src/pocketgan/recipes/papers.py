"""What each classic loss's paper adds to it: penalties, steps of the critic, Adam's numbers. Imports no torch.

A name is a row of `LOSSES` in objectives/losses.py too. Who says ``loss = "wgan-gp"`` gets these values, but for those
that are said beside it. Networks, batch and budget stay the recipe's; R1, which none of these papers has, is put away.
"""

from __future__ import annotations

from typing import Any

NO_R1 = {"r1": 0.0, "r1_every": 1, "r1_target": 0.0}
NOTHING_ADDED = {"gp": 0.0, "dragan": 0.0, "clip": 0.0, "n_critic": 1}


def _paper(objective: dict[str, Any], optimizer: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    return {"objective": {**NO_R1, **NOTHING_ADDED, **objective}, "optimizer": optimizer or {}}


def _adam(rate: float, beta1: float, beta2: float) -> dict[str, float]:
    return {"lr_g": rate, "lr_d": rate, "beta1": beta1, "beta2": beta2}


_CRITIC = {"updates": "alternating", "n_critic": 5}

PAPERS: dict[str, dict[str, dict[str, Any]]] = {
    "bce": {"objective": NOTHING_ADDED},  # the recipe's own numbers, as for the next
    "relativistic": {"objective": NOTHING_ADDED},
    "saturating": _paper({}),  # Goodfellow et al. 2014 give none for images that would carry over
    "lsgan": _paper({}, _adam(2e-4, 0.5, 0.999)),  # Mao et al. 2017, section 4, for small images
    # Arjovsky et al. 2017, algorithm 1. Its RMSProp divides by the root of a mean of squares, here that of PyTorch
    # (0.99): Adam without momentum is the same, and corrects the first steps, in which that mean is too small.
    "wgan": _paper({**_CRITIC, "clip": 0.01}, _adam(5e-5, 0.0, 0.99)),
    "wgan-gp": _paper({**_CRITIC, "gp": 10.0}, _adam(1e-4, 0.0, 0.9)),  # Gulrajani et al. 2017, algorithm 1
    "hinge": _paper(_CRITIC, _adam(2e-4, 0.0, 0.9)),  # Miyato et al. 2018, appendix B.2; Lim & Ye 2017 for the loss
    "dragan": _paper({"updates": "alternating", "dragan": 10.0}, _adam(1e-4, 0.5, 0.999)),  # Kodali et al. 2017
}
