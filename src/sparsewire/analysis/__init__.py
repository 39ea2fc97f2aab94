"""What a structure is like: read-only."""
