from __future__ import annotations

from django.contrib import admin
from procrastinate.contrib.django.models import ProcrastinateJob

# Its pages break the content security policy and time out on long tables; jobs have a page of ours.
admin.site.unregister(ProcrastinateJob)
