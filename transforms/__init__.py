"""Columnar PTransforms: parse, keep, split off the late, aggregate, give rows."""
