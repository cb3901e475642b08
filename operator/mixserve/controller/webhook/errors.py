"""What can go wrong between the API server and the webhook.

WebhookError
├── BadReviewError     what was sent is no AdmissionReview of a pool
└── CertificateError   there is no certificate to serve with
"""


class WebhookError(Exception):
    """The webhook can't do what it should."""


class BadReviewError(WebhookError):
    """What was sent is no AdmissionReview of a pool; the same will be refused again."""


class CertificateError(WebhookError):
    """There is no certificate to serve with; never says anything of a private key."""
