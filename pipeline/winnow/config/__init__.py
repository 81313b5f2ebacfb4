"""YAML to settings, and mistakes to messages."""
