"""What is the produce pipeline's own."""
