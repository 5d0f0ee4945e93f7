"""Records whose columns nobody has described: their shape, their fields, conditions on them."""
