"""The old name of `campaigns.user_classes`, for locustfiles written before."""

import warnings

from campaigns.user_classes import *  # noqa: F403

warnings.warn("`campaigns.people` is now `campaigns.user_classes`", DeprecationWarning, stacklevel=2)
