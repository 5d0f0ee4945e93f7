"""What is of pipelines.totals alone: its options, what they ask for, and the script that does the same."""
