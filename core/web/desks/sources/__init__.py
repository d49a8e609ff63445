"""What a broker or server offers: asked from here or pasted, a section to copy, and its points into the catalog."""
