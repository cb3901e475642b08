"""The validating webhook: pools that can't work are refused when they are applied.

Here belong: what the API server asks and is answered, what is read to judge a pool, the HTTPS endpoint, and its
certificate. Here do not belong: checks (see `validate`), nor any write but that of the certificate.
"""
