"""The way of a connection: from a pod of the Service to a port of this machine."""
