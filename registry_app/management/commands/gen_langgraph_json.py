"""Write fleet/langgraph.json for every graph, or for one pool to standard output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from contract.registry import GRAPHS
from registry_app.langgraph_json import render

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    help = __doc__ or ""
    requires_system_checks = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--pool", default="", help="only this pool's graphs")
        parser.add_argument(
            "--check", action="store_true", help="write nothing; exit 1 when the file is stale"
        )
        parser.add_argument(
            "--output", type=Path, help="default: fleet/langgraph.json; with --pool: standard output"
        )

    def handle(self, *args: Any, pool: str, check: bool, output: Path | None, **options: Any) -> None:
        specs = [spec for spec in GRAPHS if not pool or spec.pool == pool.upper()]
        if not specs:
            raise CommandError(f"--pool: no graph has the home pool {pool.upper()}.")
        text = render(specs)
        whole = Path(settings.BASE_DIR) / "fleet" / "langgraph.json"
        path = output or (None if pool else whole)
        if check:
            _check(path or whole, text)
        elif path is None:
            self.stdout.write(text, ending="")
        else:
            path.write_text(text, encoding="utf-8")


def _check(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        raise CommandError(f"{path.name} is stale: run `make generate`.")
