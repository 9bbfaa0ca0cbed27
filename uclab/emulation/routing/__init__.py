"""Routing daemons of devices: FRR, told by the plan."""
