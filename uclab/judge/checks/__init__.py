"""One family of findings a module."""
