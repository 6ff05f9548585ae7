"""The use cases. Never Tornado, never HTTP words."""
