"""Frozen values that every layer shares; imports nothing above itself."""
