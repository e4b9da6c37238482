"""Protection of an owner against floods of worthless datagrams. The protocol works without it.

unvalidated  how many unvalidated addresses get an answer
token_tag    the first bytes of a token: recognises made-up tokens cheaply
bpf_filter   the same two checks in the kernel, once there was a flood (Linux)
filter       puts them together behind the ``Filter`` interface
"""
