"""What simulators.smoothies is made of."""
