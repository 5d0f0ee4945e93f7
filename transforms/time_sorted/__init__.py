"""What depends on the order of event time: rows that wait, are folded once, and are looked ahead of."""
