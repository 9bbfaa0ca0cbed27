"""Reading a run's files."""
