"""What all simulators share: the command line, faults, pace, and where records go."""
