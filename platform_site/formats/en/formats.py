"""How the admin writes moments: as the pages do, to the second, with the zone said."""

from __future__ import annotations

DATE_FORMAT = "j M Y"
TIME_FORMAT = "H:i:s"
DATETIME_FORMAT = "D j M Y, H:i:s T"
