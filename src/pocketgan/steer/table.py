"""The methods by name, the best first. To add one, write a file with `fit` and `rebuild`, and a row."""

from __future__ import annotations

from pocketgan.core.errors import UsageError, nearest
from pocketgan.steer import bank, directions, energy, flow, lcp, search
from pocketgan.steer.method import Method

# fmt: off
METHODS: dict[str, Method] = {
    "flow":       Method(flow.fit,       flow.rebuild,       "a normalising flow, sifted by a network that reads latents"),
    "bank":       Method(bank.fit,       bank.rebuild,       "latents that the guide accepted, each given once", finite=True),
    "energy":     Method(energy.fit,     energy.rebuild,     "Langevin walks on the energy of a network that reads latents"),
    "search":     Method(search.fit,     search.rebuild,     "gradient steps through generator and guide, on the prior's shell"),
    "directions": Method(directions.fit, directions.rebuild, "linear directions of classes, slant, thickness and width"),
    "lcp":        Method(lcp.fit,        lcp.rebuild,        "one-hot class to latent by squared error: one latent a class"),
}
# fmt: on


def method_of(name: str) -> Method:
    """The row with this name.

    Raises
    ------
    UsageError
        There is none.
    """
    if name not in METHODS:
        raise UsageError(f"--method {name} is unknown{nearest(name, METHODS)}")
    return METHODS[name]
