"""The node's side of the swarm's log: what happens here, reported to the tracker in batches.

    look         reads the state of the node's torrents, a few times a second     (snapshot)
    changes      the events between two snapshots                                 pure
    bus_events   events of the node's EventBus that the log has, too              pure
    notes        lost and repaired ranges, which connections note                 pure
    batches      events that wait for the tracker, numbered and acknowledged      pure
    budget       how many bytes a report may have                                 pure
    reporter     the thread that does all this, and sends

Nothing here runs in the way of a transfer: connections and hashing threads at most append to a queue. Without
``NodeSettings.report`` nothing of it is made at all. The format of a report is in docs/events.md.
"""
