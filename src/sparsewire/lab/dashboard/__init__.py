"""The lab's window: a server on this machine that shows a store's trials, kept and under way, and changes nothing."""
