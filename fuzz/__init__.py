"""Fuzzing: each parser of bytes from outside, and each state machine behind one, fed with what nobody meant.

A *target* takes bytes and must swallow them: it accepts, or meets the named error of its parser. Anything
else that is raised is an *escape*, and a defect. Sequences (datagrams, timers, requests) are read out of the
bytes, too, so that one mutator serves all and every input is a line in a file.

``python -m fuzz`` runs as many inputs as asked; ``fuzz/corpus`` keeps those that once did something of their
own, and the test suite replays them.
"""
