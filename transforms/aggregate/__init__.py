"""Totals per key and window: aggregations, and how they are kept while a stream goes on."""
