"""The core's own plugins: the contracts, implemented and registered by hooks."""
