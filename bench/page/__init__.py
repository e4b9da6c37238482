"""The dashboard's drawing in a headless browser: the cost of one frame."""
