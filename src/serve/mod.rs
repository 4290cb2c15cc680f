//! A bundle, or a fixture in the same layout, as a read-only Kubernetes API on loopback.
