"""A telephone on a wall: no PC behind it, G.711 alone."""
