"""How a run is doing, for machines that look on: metrics for Prometheus, and whether it is stuck."""
