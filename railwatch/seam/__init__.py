"""The boundary between perception and the hub."""
