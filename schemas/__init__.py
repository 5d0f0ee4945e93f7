"""The record types that every other folder knows."""
