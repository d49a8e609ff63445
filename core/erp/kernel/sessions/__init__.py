"""Sessions of browsers: who is signed in where, on the server, ended at once and everywhere."""
