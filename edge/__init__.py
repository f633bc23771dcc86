"""The agent beside the devices: serial lines and local MQTT in, packs out, nothing lost between."""
