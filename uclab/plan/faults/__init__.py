"""What can be wrong on purpose, so that a check can be seen to fail."""
