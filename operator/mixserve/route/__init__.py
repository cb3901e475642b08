"""Pure routing: how complex a request is, which tier and pool it goes to, and which endpoint of the pool.

Here belong decisions about one request over frozen inputs. Here must not be I/O, a clock or random numbers; `now_s` is
an argument.
"""
