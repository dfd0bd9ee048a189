"""The data set: assembled from admitted batches, reconciled, read."""
