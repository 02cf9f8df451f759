"""Real servers and real clients: see README.md beside this file."""
