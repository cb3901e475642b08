"""Which hub: the public one, or a mirror that the environment names as for every program of Hugging Face."""

DEFAULT_ENDPOINT = "https://huggingface.co"

ENDPOINT_VARIABLE = "HF_ENDPOINT"

ENDPOINT_PATTERN = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"
"""Without credentials: they would stand in conditions."""
