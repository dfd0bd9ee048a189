"""What contradicts: names, numbers, near duplicates, deletions that match nothing."""
