"""The stock desk: goods by item, lot and place, and what stands against taking them for the purpose asked."""
