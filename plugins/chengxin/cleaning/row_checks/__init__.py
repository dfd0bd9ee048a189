"""What the values of a row, or of the rows of a chunk, say of each other after each was cleaned by itself."""
