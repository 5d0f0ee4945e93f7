"""What simulators.http is made of."""
