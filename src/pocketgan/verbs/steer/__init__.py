"""`steer`: fit methods to a frozen generator; find a picture's latent; walk between latents; show directions."""

from pocketgan.verbs.steer.fitting import FitReport, fit
from pocketgan.verbs.steer.inverting import invert
from pocketgan.verbs.steer.leaning import directions
from pocketgan.verbs.steer.walking import interpolate

__all__ = ["FitReport", "directions", "fit", "interpolate", "invert"]
