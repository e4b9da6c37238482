"""How a user drives a node: at a prompt, through a pipe, or with one command."""
