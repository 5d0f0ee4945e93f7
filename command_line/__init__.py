"""The command line: arguments, options from a file, and where passwords are read from."""
