"""Record what the real SDKs send, on loopback: `python tests/goldens/record.py`. Needs Node for the JavaScript one.

Each request becomes `<door>/<sender>-<n>.body`, inflated, with its content type in a `.json` beside it that also holds
what our decoders made of it. Names of this machine are written over with as many letters x, so that lengths hold.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.goldens.replay import decoded  # noqa: E402
from traces_app.ingest.inflate import inflate  # noqa: E402
from traces_app.ingest.langsmith import INFO  # noqa: E402

LANGSMITH = """
from langsmith import Client, traceable, tracing_context
client = Client()
@traceable(run_type="llm", metadata={"ls_model_name": "gpt-4o-mini", "ls_provider": "openai"})
def model(prompt):
    usage = {"input_tokens": 100, "output_tokens": 50, "total_tokens": 150}
    return {"text": "re: " + prompt, "usage_metadata": usage}
@traceable(run_type="tool")
def tool(): raise ValueError("tool broke")
@traceable(tags=["outer"], metadata={"langgraph.assistant_id": "email_compose", "agentic.pool": "EMAIL"})
def chain(question):
    try:
        tool()
    except ValueError:
        return model(question)["text"]
with tracing_context(enabled=True, client=client, project_name="goldens"):
    chain("why?")
client.flush()
"""
OTLP = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
tracer = provider.get_tracer("agent")
chat = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "gpt-4o-mini"}
chat |= {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.output_tokens": 100}
chat |= {"gen_ai.prompt": '{"messages": ["hi"]}', "gen_ai.completion": '{"text": "ho"}'}
with tracer.start_as_current_span("agent", attributes={"langgraph.assistant_id": "email_compose"}):
    with tracer.start_as_current_span("chat", attributes=chat):
        pass
    try:
        tool = {"openinference.span.kind": "TOOL", "input.value": "x"}
        with tracer.start_as_current_span("search", attributes=tool):
            raise KeyError("nothing there")
    except KeyError:
        pass
provider.shutdown()
"""
#: sender → command and what it needs in its environment
SENDERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "python": ([sys.executable, "-c", LANGSMITH], {}),
    "javascript": (["node", str(ROOT / ".data" / "node" / "trace.mjs")], {"READ": "0"}),
    "exporter": ([sys.executable, "-c", OTLP], {}),
    "otel-mode": (
        [sys.executable, "-c", LANGSMITH],
        {"LANGSMITH_OTEL_ENABLED": "true", "LANGSMITH_OTEL_ONLY": "true"},
    ),
}
_MACHINE = re.compile(rb"(?:/[\w.+-]+)+/(?=[\w.+-]+\.(?:py|m?js)\b)|Linux-[\w.+-]+")


class Recorder(BaseHTTPRequestHandler):
    """Takes everything, as LangSmith and a collector would."""

    taken: list[tuple[str, str, bytes]]

    def do_GET(self) -> None:
        self._answer(INFO.body)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers["content-length"]))
        body = inflate(raw, self.headers.get("content-encoding", ""), 1 << 26)
        door = "otlp" if self.path.endswith("v1/traces") else "langsmith"
        self.taken.append((door, self.headers["content-type"], body))
        self._answer(b"" if door == "otlp" else b"{}")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def record(sender: str) -> None:
    """Run one sender against a recorder and write what came."""
    command, more = SENDERS[sender]
    Recorder.taken = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Recorder) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}"
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("LANG", "OTEL"))}
        env = {**clean, "LANGSMITH_ENDPOINT": address, "LANGSMITH_API_KEY": "golden", **more}
        env |= {"LANGSMITH_PROJECT": "goldens", "OTEL_EXPORTER_OTLP_ENDPOINT": address}
        subprocess.run(command, env=env, check=True, timeout=60)
        server.shutdown()
    for number, (door, content_type, body) in enumerate(Recorder.taken):
        place = HERE / door / f"{sender}-{number}"
        place.parent.mkdir(exist_ok=True)
        body = _MACHINE.sub(lambda found: b"x" * len(found[0]), body)
        place.with_suffix(".body").write_bytes(body)
        golden = {"content_type": content_type, "runs": decoded(content_type, body)}
        place.with_suffix(".json").write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or SENDERS:
        record(name)
