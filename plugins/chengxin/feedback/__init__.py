"""The answer back to a department (反馈): what became of each row of its batch, in words it can act on."""
