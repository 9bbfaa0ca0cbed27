"""A plan as a drawing."""
