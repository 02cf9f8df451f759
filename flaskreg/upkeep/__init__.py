"""What keeps a storage in order: garbage collection, checks and repairs, purging."""
