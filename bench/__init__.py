"""How fast the server is, measured beside what people would use instead."""
