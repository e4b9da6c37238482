"""The node's side of the swarm's log: what happens here, reported to the tracker in batches.

    look         reads the state of the node's torrents, a few times a second    (snapshot)
    changes      the events between two snapshots                                pure
    bus_events   events of the node's EventBus that the log has, too             pure
    notes        lost and repaired ranges, which connections note, and samples   pure
    dumps        messages of the flight recorder                                 pure
    collector    puts the events of all these in one order, under a lock
    batches      the events that wait, numbered, bounded and acknowledged        pure
    budget       how many bytes a report may have                                pure
    sender       sends within the budget, and acts on the answers
    reporter     the thread that does all this

Nothing here runs in the way of a transfer: connections and hashing threads at most append to a queue. Without
``NodeSettings.report`` nothing of it is made at all. docs/tracker.md has the format of a report,
docs/events.md has the events.
"""
