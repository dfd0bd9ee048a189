"""What legal acts take out of published data: found, hidden at once, left out of snapshots, gone from old ones."""
