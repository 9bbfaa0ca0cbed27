"""Who may do what: names that are safe as paths, files that nobody else can exchange, sockets that nobody
else can use. Every input is somebody else's until one of these has looked at it."""
