"""Which way packets take through a plan, and what its lines lose."""
