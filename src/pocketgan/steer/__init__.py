"""Any class on demand from a frozen, unconditional generator: methods that find latents, and what they share."""
