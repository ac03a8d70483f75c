"""Bring the registry's records to what the code says; with --check, exit 1 when they are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from registry_app.sync import SyncResult, plan_sync, sync_registry

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--check", action="store_true", help="change nothing; exit 1 on drift")

    def handle(self, *args: Any, check: bool, **options: Any) -> None:
        if check:
            result, _ = plan_sync()
            if result:
                raise CommandError(
                    "The records differ from the code. " + _sentence(result) + " Run sync_registry."
                )
            self.stdout.write("The records are what the code says.")
            return
        self.stdout.write(_sentence(sync_registry()) or "Nothing to do.")


def _sentence(result: SyncResult) -> str:
    parts = {"new": result.added, "changed": result.changed, "missing in code": result.missing}
    return " ".join(f"{name.capitalize()}: {', '.join(ids)}." for name, ids in parts.items() if ids)
