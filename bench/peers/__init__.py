"""What people would use instead: other servers that do the same jobs, for ``python -m bench``.

Each serves the part of the contract that the load asks for. They are written to be fast, with
fewer checks than the product: what they leave out is said at the top of each.
"""
