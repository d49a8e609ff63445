"""Grafana dashboards as code: the boards, the JSON they build, and what provisions them."""
