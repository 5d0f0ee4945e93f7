"""Files as sources: replayed, repeated, or followed as they grow."""
