"""Container engines under test, each in namespaces, directories and sockets of its own."""
