"""Latchkey on one machine, to try: a server, its MongoDB, and simulated locks."""
