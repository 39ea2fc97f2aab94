"""What a graph of neurons is like, whatever the direction of its edges: distances, centrality, clustering, spectra."""
