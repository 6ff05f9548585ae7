"""The operators' dashboard: pages for people who are signed in with a browser.

It is no part of the API: its addresses are in ``routes`` here, it calls the services that the
API calls, and only here does an operator's cookie mean anything.
"""
