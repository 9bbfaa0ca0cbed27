"""The SD-WAN of a plan: overlays, edge routers, gateways (W6)."""
