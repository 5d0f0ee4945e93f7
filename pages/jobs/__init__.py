"""Jobs: pipelines that the page runs, each a process of its own."""
