"""The serving app: published snapshots over HTTP, for those who read them. Reads `published/` and nothing else."""
