"""Where results go: files per window, the console."""
