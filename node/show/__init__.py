"""Events and rows as terminal output, plain lines or JSON."""
