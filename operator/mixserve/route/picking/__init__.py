"""Which endpoint of a pool a request goes to: by load, by the prefix that an engine may still hold, by its adapters.

Two strategies. `LeastLoad` needs nothing per request: `weights` turns the engines' load into weights of Envoy's
endpoints. `PrefixAware` picks for each request: `affinity` says what it could share with others, `picker` weighs that
against load.

Here belong decisions over what was seen of the endpoints and what was picked before. Here must not be I/O, a clock or
random numbers: two replicas that see the same decide the same.
"""
