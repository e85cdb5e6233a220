"""All that talks to Kubernetes: kubectl's argv, lists and watches, what Services and EndpointSlices say."""
