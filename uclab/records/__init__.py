"""What a lab writes and the judge reads."""
