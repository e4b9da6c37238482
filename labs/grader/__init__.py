"""The grader: a student's file in a child process, stages that judge it, and the story of a failure.

lab          a lab's folder: its stages, its parameters, its questions
stage        one check: title, points, rule; and the ways in which it fails
run          the environment of a check: the student's part, the trace, expectations
trace        the steps of a run, in virtual time
student      the child process, as the parent sees it
child        the program that runs in it
values       how arguments and results cross the pipe
parameters   random numbers that belong to one student, one lab and one term
grade        the stages of a lab in their order
story        a failure as text
"""
