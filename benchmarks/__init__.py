"""One file a question; each prints a table and the command that made it."""
