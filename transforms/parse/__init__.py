"""Blocks to frames: a parser for each form of records, and what they share."""
