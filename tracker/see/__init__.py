"""The live log: events of nodes and of the tracker, as one log that viewers read. Pure.

A report or a notice of the service comes in with the time of its arrival; events go out, each with a
position. All times are milliseconds of the log's clock, which is the tracker's monotonic clock.

    notice of the service ──▶ tracker_events ──┐
                                               ├──▶ live_log ──▶ history ──▶ GET /swarm, recording
    POST /report ──▶ report ──▶ reporting_node ┘

- ``report`` checks a report. ``reporting_node`` ignores repeated events, writes a ``gap`` for missing ones,
  and turns the times of a node's clock into times of the log (``node_clock``).
- ``tracker_events`` explains in words why each owner in an answer to NEED has its rank.
- ``history`` keeps the last events. Older ones are replaced by the state after them: a keyframe.

``tracker.log_keeper`` puts a lock, a clock and a thread around this.
"""
