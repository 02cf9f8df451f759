"""Health: what is checked, who is told, and the gate that closes when a check fails."""
