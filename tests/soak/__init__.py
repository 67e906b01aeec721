"""Faults injected on purpose: each module runs any number of them, a few in the quick tests, many in `make soak`."""
