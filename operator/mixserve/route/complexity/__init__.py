"""Classifiers: how hard a prompt is, from 1 to 5, with the reason. docs/routing-quality.md says how good they are.

Here belong one file per classifier behind the protocol in `score`, and in `heads/` what was learned for them. A new one
is one file, trained and judged by `make bench-routing` on subjects that it was not trained on. Here must not be the
choice of a tier, nor the call to a model: `llm` has only what is asked and how the answer is read.
"""
