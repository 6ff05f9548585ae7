"""The guest pages' sentences in other languages than English, and the tool that keeps them.

``./latchkey messages`` brings every ``*.po`` up to what the code and the templates say.
"""
