"""All that touches this machine: addresses, hosts file, privileged helper, listening sockets, processes, paths."""
