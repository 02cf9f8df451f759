"""The registry on a storage driver: services over contracts, no HTTP, no plugins."""
