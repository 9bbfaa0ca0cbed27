"""Overlays in devices: tunnel interfaces, routing by mark, OpenVPN (W6)."""
