"""Who fetches which bytes: decisions without sockets, threads or clocks."""
