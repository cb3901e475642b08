"""I/O in: pods, engine metrics and model files become an Observation, or Missing with a reason.

Here belong reading and parsing. Here must not be decisions, or a 0 where there is no data.
"""
