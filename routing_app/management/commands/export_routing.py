"""Print a published routing document; with --check, verify it and exit 1 when the draft differs from it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from contract.routing_document import RoutingDocumentError, canonical_bytes, parse
from routing_app import selectors
from routing_app.services.document import diff
from routing_app.services.draft import draft_content

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--revision", type=int, help="default: the live one")
        parser.add_argument(
            "--check", action="store_true", help="verify the digest and compare with the draft"
        )

    def handle(self, *args: Any, revision: int | None, check: bool, **options: Any) -> None:
        found = selectors.revision(revision)
        if found is None:
            raise CommandError(
                f"There is no revision {revision}." if revision else "Nothing has been published yet."
            )
        try:
            parse(found.document)
        except RoutingDocumentError as error:
            raise CommandError(f"Revision {found.version} is damaged: {error}") from None
        if not check:
            self.stdout.write(canonical_bytes(found.document).decode())
            return
        changes = diff(found.document, draft_content())
        if changes:
            raise CommandError(
                f"The draft differs from revision {found.version}: " + ", ".join(c.path for c in changes)
            )
        self.stdout.write(f"Revision {found.version} is sound, and the draft is the same.")
