"""An exposure in Kubernetes' terms: whose pods, which rights, which objects, and the journal."""
