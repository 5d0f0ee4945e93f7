"""Running on a Flink cluster: its job server, its REST interface, its worker pools, and what jobs there need."""
