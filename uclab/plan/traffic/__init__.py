"""What happens in a scenario: calls, bulk traffic, incidents."""
