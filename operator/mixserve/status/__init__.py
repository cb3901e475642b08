"""Pure: observation and decision to status, conditions and events.

Here belongs how the state reads to people. Here must not be I/O or decisions about replicas.
"""
