"""A pull-through cache as a plugin of flaskreg."""
