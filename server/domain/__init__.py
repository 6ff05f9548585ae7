"""The rules and the words. Pure: no I/O, no clock of its own, no event loop."""
