"""The status of a `QuantizationFormat`."""

from mixserve.api.catalog_status import QuantizationFormatStatus
from mixserve.status.users import Users


def build_format_status(*, generation: int, users: Users) -> QuantizationFormatStatus:
    """Who uses the format of this generation."""
    return QuantizationFormatStatus(observed_generation=generation, pools=users.count, used_by=users.listed)
