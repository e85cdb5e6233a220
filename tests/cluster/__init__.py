"""A throwaway one-node Kubernetes from real parts, in namespaces of its own."""
