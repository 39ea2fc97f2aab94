"""How one trial is done, wherever that is, and what it tells meanwhile."""
