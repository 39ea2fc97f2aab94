"""The files behind checkpoints: ours, with manifests, and those of others, which are trusted in nothing."""
