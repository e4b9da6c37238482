"""Virtual-time set-ups in which the labs' checks drive a student's part.

tracker      the real tracker's rules and HTTP, with a clock of our own
log          a short log of a made-up swarm
buffer       a socket's buffer that datagrams may find full
exchange     one fetcher and one owner: REQUEST there, DATA back, over links with scripted faults
bottleneck   flows with the student's Controller, or built-in controllers, over one shared link
streaming    a swarm that plays a film while it fetches it
"""
