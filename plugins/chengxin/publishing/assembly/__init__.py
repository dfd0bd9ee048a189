"""Assembly of the government tier from admitted batches."""
