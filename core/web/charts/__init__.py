"""What charts show, as data: curves, limits, places, holds and signatures on one time axis."""
