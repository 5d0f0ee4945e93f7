"""Topics of Kafka: messages, and who sends them."""
