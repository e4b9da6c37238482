"""Fuzzing: random input for each parser of bytes from outside, and each state machine behind a parser.

A *target* takes bytes and accepts them, or raises the named error of its parser. Any other exception is an
*escape*, and a defect. Sequences (datagrams, timers, requests) are read out of the bytes as well. So one
mutator serves all targets, and every input is a line in a file.

``python -m fuzz`` runs a given number of inputs. ``fuzz/corpus`` keeps inputs with an outcome of their own,
and the test suite replays them.
"""
