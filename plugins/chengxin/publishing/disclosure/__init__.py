"""How a record stands on a day, until when it is public, and where its subject is at home."""
