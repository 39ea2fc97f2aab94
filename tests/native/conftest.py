"""The plugin replaces the loader as it is imported, so it must not be collected for doctests."""

collect_ignore = ["emulated.py"]
