"""Load campaigns: locust inside a lab, and what became of it (D11)."""
