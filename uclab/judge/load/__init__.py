"""What a campaign's users met, and measured capacity."""
