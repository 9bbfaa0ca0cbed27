"""Our classes of Mininet's hosts, switches and networks."""
