"""Content from other places into a registry, and from a registry into a folder."""
