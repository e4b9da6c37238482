"""The labs (``NN-*``), their grader, hand-ins, exports, replays of recordings, a small tracker client."""
