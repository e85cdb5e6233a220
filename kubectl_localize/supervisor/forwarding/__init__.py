"""Forwards: from what the cluster has to listening sockets and names on this machine."""
