"""What is of pipelines.errors alone: visitors by hour, and their board."""
