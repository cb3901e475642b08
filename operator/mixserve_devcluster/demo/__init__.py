"""`mixserve dev demo`: the main job on the embedded cluster, watched live and drawn as a timeline.

Here belong the demo's workload, its client, its recording and its pictures. Here must not be anything that the
product or the embedded cluster needs.
"""
