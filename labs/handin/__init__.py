"""A student's hand-in, and the staff's handout.

receipt    versions, seed, hash of the file, hash of each stage's trace: the teacher's run repeats it
answers    answers.toml: the predicted numbers
collect    a folder of hand-ins: one table
handout    the tree without its answers
pack       a zip for Gradescope
skeleton   a new lab
"""
