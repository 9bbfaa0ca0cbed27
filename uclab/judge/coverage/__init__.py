"""What findings need of the captures: bytes and times."""
