"""Tornado: each handler parses a request, calls one service and renders the answer."""
