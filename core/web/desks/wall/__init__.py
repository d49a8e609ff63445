"""The wall display: the plant readable from five metres, renewed by itself."""
