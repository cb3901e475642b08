"""`python -m mixserve.cli`, for programs that know an interpreter and not where its scripts are."""

from mixserve.cli import app

app()
