"""Pure checks of a pool against the catalogue: violations, each with field path, what is wrong, what to do.

Here belong checks that the CRD's schema can't express. Here must not be I/O or anything that changes a pool.
"""

from mixserve.validate.checks import notes, violations
from mixserve.validate.name_checks import Claim, name_owners, names_taken
from mixserve.validate.violation import CONDITIONS, Note, Violation

__all__ = ["CONDITIONS", "Claim", "Note", "Violation", "name_owners", "names_taken", "notes", "violations"]
