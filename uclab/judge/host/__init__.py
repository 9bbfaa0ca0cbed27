"""What a busy machine explains."""
