"""Sweeps: recipes × seeds × fields, each cell an ordinary run, compared over the seeds at the end."""
