"""Where trials are done: in this process, on this machine's cores, on a cluster."""
