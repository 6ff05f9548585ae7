"""Latchkey: a self-hosted server for smart locks."""

__version__ = "0.1.0"
