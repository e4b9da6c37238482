"""Where the tracker keeps its records; ``base`` says what every kind must do."""
