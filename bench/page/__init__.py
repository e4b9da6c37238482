"""The dashboard's drawing in a headless browser: what one frame costs."""
