"""What the registry writes of itself: its own log, the access log, the audit log."""
