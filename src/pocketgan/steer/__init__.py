"""Any class on demand from a frozen, unconditional generator: methods that find latents, and what they share."""

LATENTS = 200_000  # drawn from the prior and read by the guide, where a fit is not told how many
STEPS = 1000  # of training, for each network that a method learns, where it is not told how many
WIDTH, MOST_WIDTH = 512, 4096  # units of each hidden layer of the network that reads latents
