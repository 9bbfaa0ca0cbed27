"""How many calls a line carries, computed and as an experiment."""
