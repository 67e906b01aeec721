"""Metrics: readings or features in, plain numbers out."""
