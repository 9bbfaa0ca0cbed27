"""The data centres: session controllers, media relays, what they let one address do."""
