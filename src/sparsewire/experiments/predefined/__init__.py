"""Pre-defined sparsity (Dey, Huang, Beerel, Chugg 2018): connections that are left out before the training."""
