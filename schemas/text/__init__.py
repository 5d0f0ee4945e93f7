"""Records in bytes: finding lines, telling dialects, reading many times at once."""
