//! What a Kubernetes API server tells: objects, events, logs, usage, exec and proxied HTTP.
