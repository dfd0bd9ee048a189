"""Publication: the commit of a snapshot, the sharing tiers derived from it, its catalogue, its verification."""
