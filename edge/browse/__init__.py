"""What a source has, and the section of a gateway file that reads it: MQTT, Modbus, OPC UA."""
