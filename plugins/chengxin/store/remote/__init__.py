"""The home in an object store: a process works on a copy of its own, and publishes what a stage made of it."""
