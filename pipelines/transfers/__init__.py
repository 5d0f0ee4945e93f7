"""What is of pipelines.credit alone: its options, and the windows and tables that follow from them."""
