"""Finding owners: ``base`` says what a download needs, each other module asks somebody for it."""
