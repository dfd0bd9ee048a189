"""Identity: which subject a record is about. Judgements are appended, never edited."""
