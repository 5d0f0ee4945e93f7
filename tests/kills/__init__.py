"""What SIGKILL costs: programs and servers killed at random moments, and what is lost, doubled and left behind."""
