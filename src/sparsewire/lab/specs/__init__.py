"""What a run is, written down: TOML files, sweeps, overrides."""
