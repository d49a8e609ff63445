"""The boards in a Grafana that exists: pushed, compared, checked."""
