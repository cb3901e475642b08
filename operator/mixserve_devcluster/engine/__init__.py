"""The simulated engine server: vLLM's command line, HTTP API, metrics and log messages, with no model behind them.

Here belong the process's edges: flags, environment, HTTP, metrics, signals, and a clock for the physics of
`mixserve.simulate`. Here must not be: formulas of memory or speed (see `simulate/`), or anything that a real vLLM in
its place would not understand. Answers are made-up words, and log lines, version and answers say "simulated".
"""
