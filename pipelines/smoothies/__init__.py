"""What is of pipelines.sales alone: earnings, stock, anomalies, and what runs low."""
