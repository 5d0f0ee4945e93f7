"""Live sources of lines: TCP, UDP, the standard input, commands."""
