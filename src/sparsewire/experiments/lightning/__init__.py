"""The lightning paper: dense networks as sparse graphs, and the lightning initialisation."""
