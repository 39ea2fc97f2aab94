"""Properties of hidden structures of sparse networks (Stier, Darji, Granitzer 2021): pruning of trained networks."""
