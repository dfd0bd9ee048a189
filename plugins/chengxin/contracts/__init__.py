"""One YAML file = one source data set: its model, loader, lint and column plan."""
