"""MQTT connections: one shape, by one engine per version of the protocol."""
