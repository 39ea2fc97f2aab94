"""Haroon 2022, what to prune and what not to prune at initialization, and our own ranking of such methods."""
