/**
 * The definitions of common/vocabulary.py and common/swarm_shape.py: each event's writer and the shape of
 * its data.
 * Written by `make docs`. Change the code that it describes instead.
 */

export const ENVELOPE = ["record", {"time": "ms", "node": ["null", "node"], "seq": "count", "name": "text"}];
export const SWARM = ["record", {"time": "ms", "tracker": ["null", ["record", {"epoch": "text", "addr": ["null", "address"], "time": "ms"}]], "gap": ["null", ["record", {"time": "ms", "events": "count", "span_ms": "ms"}]], "torrents": ["map", "torrent", ["record", {"info_hash": "info_hash", "name": "text", "size": ["null", "count"], "piece_length": ["null", "count"], "pieces": ["null", "count"]}], 100], "nodes": ["map", "whole", ["record", {"state": ["one", "here", "silent", "left"], "since": "ms", "reports": "flag", "silent_ms": "ms", "removed": "flag", "addr": ["null", "address"], "tcp_addr": ["null", "address"], "up_limit": ["null", "count"], "down_limit": ["null", "count"], "slots": ["null", "count"], "transports": ["list", "text", 8], "program": "text", "faults": "text", "uploads": ["null", "count"], "clock": ["null", ["record", {"offset_ms": "number", "bound_ms": "ms"}]], "gap": ["null", ["record", {"time": "ms", "events": "count", "span_ms": "ms"}]], "dumped": ["null", ["record", {"time": "ms", "reason": "text", "dump": "count", "total": "count"}]], "torrents": ["map", "torrent", ["record", {"state": ["null", ["one", "checking", "searching", "downloading", "seeding", "paused", "failed", "stopped"]], "reason": "text", "complete": ["null", "flag"], "pieces": "letters", "asked": ["map", "whole", ["list", "peer", 1000], 10000], "queue": ["list", "peer", 1000], "served": ["list", "peer", 1000], "slots": ["null", "count"], "answer": ["list", ["record", {"peer": "peer", "uploads": "count", "reason": "text"}], 1000], "down": "count", "up": "count", "moved": ["null", ["record", {"time": "ms", "span_ms": "ms"}]]}], 100]}], 1000], "links": ["map", "link", ["map", "torrent", ["record", {"received": "count", "in": ["null", ["record", {"time": "ms", "bytes": "count", "span_ms": "ms"}]], "state": ["null", ["one", "active", "queued", "choked", "idle", "unused", "lost", "suspect", "banned"]], "place": "count", "reason": "text", "transport": "text", "complete": ["null", "flag"], "held": ["null", "count"], "window": ["null", "count"], "rtt_ms": ["null", "ms"], "outstanding": "count", "reduced": ["null", ["record", {"time": "ms", "reason": "text"}]], "lost": "count", "repaired": "count", "sent": "count", "out": ["null", ["record", {"time": "ms", "bytes": "count", "span_ms": "ms"}]], "slot": ["null", ["one", "granted", "withdrawn"]], "slot_reason": "text"}], 100], 20000]}];
export const LIMITS = {"MAX_NODES": 1000, "MAX_TORRENTS": 100, "MAX_LINKS": 20000, "MAX_PIECES": 1048576, "MAX_CELLS": 2097152, "MAX_ASKED": 10000, "MAX_LIST": 1000};

/** @type {Record<string, [string, any]>} */
export const KINDS = {
  "node:started": ["node", ["record", {"addr": ["null", "address"], "tcp_addr": ["null", "address"], "up_limit": ["null", "count"], "down_limit": ["null", "count"], "slots": ["null", "count"], "transports": ["list", "text", 8], "program": "text"}]],
  "node:left": ["node", ["record", {}]],
  "node:silent": ["tracker", ["record", {"node": "node", "silent_ms": "ms", "removed": "flag"}]],
  "node:back": ["tracker", ["record", {"node": "node", "silent_ms": "ms"}]],
  "node:faults": ["node", ["record", {"spec": "text"}]],
  "tracker:started": ["tracker", ["record", {"epoch": "text", "addr": ["null", "address"]}]],
  "tracker:register": ["tracker", ["record", {"node": "node", "addr": ["null", "address"]}]],
  "tracker:own": ["tracker", ["record", {"node": "node", "torrent": "torrent", "complete": "flag"}]],
  "tracker:need": ["tracker", ["record", {"node": "node", "torrent": "torrent", "answer": ["list", ["record", {"peer": "peer", "uploads": "count", "reason": "text"}], 1000]}]],
  "tracker:update": ["tracker", ["record", {"node": "node", "uploads": "count", "by": "node"}]],
  "tracker:exit": ["tracker", ["record", {"node": "node"}]],
  "tracker:announce": ["tracker", ["record", {"torrent": "torrent", "peer": "address", "event": ["one", "started", "completed", "stopped"], "complete": "flag", "others": "count"}]],
  "torrent:known": ["any", ["record", {"torrent": "torrent", "info_hash": "info_hash", "name": "text", "size": ["null", "count"], "piece_length": ["null", "count"], "pieces": ["null", "count"]}]],
  "torrent:state": ["node", ["record", {"torrent": "torrent", "state": ["one", "checking", "searching", "downloading", "seeding", "paused", "failed", "stopped"], "reason": "text"}]],
  "piece:held": ["node", ["record", {"torrent": "torrent", "ranges": ["list", ["tuple", "count", "count"], 4000], "span?": ["tuple", "count", "count"]}]],
  "piece:requested": ["node", ["record", {"torrent": "torrent", "piece": "count", "peers": ["list", "peer", 1000]}]],
  "piece:received": ["node", ["record", {"torrent": "torrent", "piece": "count"}]],
  "piece:verified": ["node", ["record", {"torrent": "torrent", "piece": "count", "peers": ["list", "peer", 1000]}]],
  "piece:failed": ["node", ["record", {"torrent": "torrent", "piece": "count", "peers": ["list", "peer", 1000]}]],
  "piece:missing": ["node", ["record", {"torrent": "torrent", "piece": "count"}]],
  "peer:state": ["node", ["record", {"torrent": "torrent", "peer": "peer", "transport": "text", "state": ["one", "active", "queued", "choked", "idle", "unused", "lost", "suspect", "banned"], "place": "count", "reason": "text", "complete": ["null", "flag"], "held": ["null", "count"]}]],
  "slot:granted": ["node", ["record", {"torrent": "torrent", "peer": "peer"}]],
  "slot:queue": ["node", ["record", {"torrent": "torrent", "queue": ["list", "peer", 1000], "slots": ["null", "count"], "served": ["list", "peer", 1000]}]],
  "slot:withdrawn": ["node", ["record", {"torrent": "torrent", "peer": "peer", "reason": "text"}]],
  "link:bytes": ["node", ["record", {"torrent": "torrent", "in": ["list", ["tuple", "peer", "count"], 1000], "out": ["list", ["tuple", "peer", "count"], 1000], "down": "count", "up": "count", "span_ms": "ms"}]],
  "congestion:sample": ["node", ["record", {"torrent": "torrent", "peer": "peer", "window": "count", "rtt_ms": ["null", "ms"], "outstanding": "count"}]],
  "congestion:reduced": ["node", ["record", {"torrent": "torrent", "peer": "peer", "window": "count", "reason": "text"}]],
  "datagram:lost": ["node", ["record", {"torrent": "torrent", "peer": "peer", "message": "text", "offset": "count", "length": "count", "reason": "text", "request?": "count", "others": "count"}]],
  "datagram:repaired": ["node", ["record", {"torrent": "torrent", "peer": "peer", "message": "text", "offset": "count", "length": "count", "request?": "count", "again?": "count", "by": "text", "cost_ms": "ms", "cost_bytes": "count", "others": "count"}]],
  "messages:dumped": ["node", ["record", {"reason": "text", "dump": "count", "first": "count", "total": "count", "messages": ["list", ["record", {"ago_ms": "ms", "direction": ["one", "in", "out", "here"], "peer": ["null", "peer"], "message": "text", "fields": ["map", "name", "scalar", 40], "lost?": "flag", "again?": "count"}], 400]}]],
  "gap": ["any", ["record", {"events": "count", "span_ms": "ms"}]],
  "clock": ["tracker", ["record", {"node": "node", "offset_ms": "number", "bound_ms": "ms"}]],
};
