"""What a user sees: events and rows as terminal output, as plain lines, as JSON."""
