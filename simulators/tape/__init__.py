"""What simulators.registers is made of."""
