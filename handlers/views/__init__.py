"""What the pages show, worked out from domain objects: no I/O, no Tornado, no clock.

A view is a frozen struct that a template prints as it is. Everything that depends on a
state is decided here, and so is every sentence about it. What a page says whatever
happens (its labels and links) is in its template.
"""
