"""Adversarial losses and penalties: tensors in, per-sample losses ``[B]`` out."""
