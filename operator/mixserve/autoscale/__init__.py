"""Pure decisions about replicas: signals to demand, demand to a stabilised decision over variants, victims to drain.

Here belong the formulas with every term of the reason. Here must not be I/O or a clock; `now_s` is an argument.
"""
