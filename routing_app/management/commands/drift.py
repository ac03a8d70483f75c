"""List where code, records, draft, live routing and pools disagree; exit 1 when they do."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from routing_app.probes import probe_pools
from routing_app.selectors import current_drift


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--ask", action="store_true", help="ask every pool first what it has loaded")

    def handle(self, *args: Any, ask: bool, **options: Any) -> None:
        if ask:
            probe_pools()
        found = current_drift()
        for item in found:
            self.stdout.write(f"{item.kind}: {item.message} {item.remedy}")
        if found:
            raise CommandError(f"{len(found)} found.")
        self.stdout.write("Code, records, draft, live routing and pools agree.")
