"""The life of goods: a sublot with its temperature, places, holds, decisions, and what stands against taking it."""
