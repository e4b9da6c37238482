"""A user's own parts in a live node (``-use``): the labs' small classes, and the built-in that takes over.

    take_over     one part: its first fault is shown, and from then on the built-in part does the work
    orders        ``choose(needed, holders, now, rng)``
    rankings      ``rank(owners)``
    controllers   ``Controller`` of three methods
    chokers       ``unchoke(peers, slots, round, rng)``

``node.plugins`` loads the classes and checks each call. A call that fails raises PluginError there, and the
classes here catch it.
"""
