"""Avro: schemas, reading and writing bodies, a registry, and the values of messages."""
