"""Trips of taxis: what :mod:`pipelines.totals` shows itself on."""
