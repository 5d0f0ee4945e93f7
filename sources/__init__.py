"""Custom unbounded sources that emit blocks of raw records, and what they share."""
