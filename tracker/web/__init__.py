"""The tracker on HTTP: reads requests, calls the service, writes answers. Decides nothing."""
