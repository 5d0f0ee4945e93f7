"""What simulators.bank is made of."""
