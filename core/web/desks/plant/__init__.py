"""The plant: every zone as a tile, worst first, and one zone with its history, alarms and goods."""
