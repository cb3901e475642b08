"""The simulated engine server: vLLM's command line, HTTP API, metrics and log messages, with no model behind them.

Called `trtllm-serve` it has the command line, the options file and the metrics of TensorRT-LLM instead.

Here belong the process's edges: flags, environment, HTTP, metrics, signals, and a clock for the physics of
`mixserve.simulate`. Here must not be: formulas of memory or speed (see `simulate/`), or anything that a real engine
in its place would not understand. Answers are made-up words, and log lines, version and answers say "simulated".
"""
