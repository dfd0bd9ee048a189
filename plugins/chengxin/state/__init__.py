"""What journal and links folders add up to, kept in a database so that a batch need not read it all again."""
