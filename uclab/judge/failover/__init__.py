"""What failures did to live calls."""
