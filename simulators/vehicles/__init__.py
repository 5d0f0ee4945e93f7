"""What simulators.gps is made of."""
