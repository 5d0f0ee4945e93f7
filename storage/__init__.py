"""Where the bytes of files are, if not on this machine: object stores, and servers of the web."""
