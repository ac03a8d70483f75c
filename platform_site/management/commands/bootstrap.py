from __future__ import annotations

import os
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from platform_site import bootstrap, env, pg
from platform_site.local_secrets import local_secrets
from registry_app.audit import Actor
from registry_app.services import ensure_api_key
from registry_app.sync import sync_registry
from routing_app.services.draft import ensure_pools
from routing_app.services.publish import ChecksFailed, publish_deployment


class Command(BaseCommand):
    help = (
        "Migrate, sync the registry, publish where the pools are, make admin user and keys. Safe to repeat."
    )
    requires_system_checks = ()  # the tables they look at may not be there yet

    def handle(self, *args: Any, **options: Any) -> None:
        environment = env.read()
        data_dir = environment.data_dir
        made = local_secrets(data_dir)
        for name in (name for name in made if name.endswith("_WORKER_SECRET")):
            os.environ.setdefault(name, made[name])  # the checks of publishing look for them

        bootstrap.migrate()
        bootstrap.set_up_pools(environment.database_url or pg.url_for(data_dir))
        if not environment.production:
            bootstrap.collect_static()
        self._route(bootstrap.pool_urls(os.environ, data_dir))
        bootstrap.ensure_admin(environment.platform_admin_password, data_dir / "admin-password")
        self._keys(environment, made)

    def _route(self, urls: dict[str, str]) -> None:
        actor = Actor.command("bootstrap")
        sync_registry(actor=actor)
        ensure_pools(urls, actor=actor)
        try:
            revision = publish_deployment(actor=actor, reason="Addresses and code of this start", urls=urls)
        except ChecksFailed as failed:
            raise CommandError(f"the routing cannot be published: {failed}") from failed
        self.stdout.write(f"routing revision {revision.version} is live")

    def _keys(self, environment: env.Environment, made: dict[str, str]) -> None:
        path = environment.data_dir / "api-key"
        try:
            ensure_api_key(bootstrap.api_key_of_file(environment.platform_api_key, path), name="bootstrap")
            ensure_api_key(made["INGEST_KEY"], name="pools", scopes=("ingest",))
            ensure_api_key(made["RUNS_KEY"], name="graphs", scopes=("runs", "read"))
        except ValidationError as error:
            raise CommandError(f"PLATFORM_API_KEY: {'; '.join(error.messages)}") from error
