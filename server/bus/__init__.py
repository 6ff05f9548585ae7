"""How an open command finds the node that holds the lock."""
