"""A site's network: switching, voice VLANs, wireless, firewall, routers' rules."""
