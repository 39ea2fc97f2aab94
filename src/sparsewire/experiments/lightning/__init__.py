"""Paper 000: dense networks as sparse graphs, and the lightning initialisation; the experiments on MNIST."""
