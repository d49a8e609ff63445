"""Channels of messages to people: mail, webhook, and through apprise SMS gateways, chat robots, MQTT topics."""
