"""The folder of a run: what lies in it, and the one place that knows."""
