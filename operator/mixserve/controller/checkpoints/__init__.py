"""What the operator learns of checkpoints, wherever they are, without ever keeping a pool's look waiting.

Here belong: when something is read and read again, the Job that reads a volume, and where what was learned is kept.
Here do not belong: what is read of a checkpoint, and how it is read (see `observe`).
"""
