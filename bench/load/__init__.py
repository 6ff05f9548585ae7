"""The other side of the wire: many locks and guests in one process, as cheap as can be."""
