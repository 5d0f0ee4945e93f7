"""What simulators.pos is made of."""
