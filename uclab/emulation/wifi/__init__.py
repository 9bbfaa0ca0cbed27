"""A radio channel and who may speak on it."""
