"""What the core tells others, from the outbox: Grafana annotations, webhooks; and the views Grafana may read."""
