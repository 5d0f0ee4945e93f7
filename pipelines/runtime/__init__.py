"""What all pipelines share: options, running, outputs, and what a run tells."""
