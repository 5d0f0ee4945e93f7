"""Going on where an earlier run got to: positions, and which of them are covered by the outputs."""
