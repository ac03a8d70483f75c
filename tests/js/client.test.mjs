// The unmodified JavaScript SDK through the dispatcher. PLATFORM_URL and PLATFORM_API_KEY say where.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";

import { Client } from "@langchain/langgraph-sdk";

const client = new Client({ apiUrl: process.env.PLATFORM_URL, apiKey: process.env.PLATFORM_API_KEY });

async function collect(stream) {
  const events = [];
  for await (const chunk of stream) events.push(chunk);
  return events;
}

async function newThread(options) {
  return (await client.threads.create(options)).thread_id;
}

test("wait answers with the output", async () => {
  for (const pool of ["CORE", "EMAIL", "CLASSIFY", "DISCOVERY"]) {
    const output = await client.runs.wait(null, `probe_${pool.toLowerCase()}`, { input: { x: 1 } });
    assert.deepEqual(output, { x: 2, pool });
  }
});

for (const mode of ["values", "updates", "messages-tuple", "custom", "tasks", "checkpoints", "debug", "events"]) {
  test(`stream in mode ${mode}`, async () => {
    const events = await collect(
      client.runs.stream(null, "talking", { input: { messages: ["hello"] }, streamMode: [mode] }),
    );
    assert.equal(events[0].event, "metadata");
    assert.match(events[0].data.run_id, /^[0-9a-f-]{36}$/);
    const names = events.map((each) => each.event);
    assert.ok(!names.includes("error"), names.join());
    if (mode !== "custom" && mode !== "checkpoints") {
      assert.ok(names.includes(mode === "messages-tuple" ? "messages" : mode), names.join());
    }
  });
}

test("a thread keeps state and history", async () => {
  const who = randomUUID();
  const thread = await newThread({ metadata: { who } });
  await client.runs.wait(thread, "probe_email", { input: { x: 1 } });
  await client.threads.updateState(thread, { values: { x: 40 } });
  assert.equal((await client.threads.getState(thread)).values.x, 40);
  const history = await client.threads.getHistory(thread, { limit: 10 });
  assert.equal(history[0].values.x, 40);
  assert.ok(history.some((state) => state.values.x === 2));
  assert.deepEqual((await client.threads.search({ metadata: { who } })).map((each) => each.thread_id), [thread]);
  await client.threads.update(thread, { metadata: { stage: "won" } });
  assert.equal((await client.threads.get(thread)).metadata.stage, "won");
  const copy = await client.threads.copy(thread);
  assert.equal((await client.threads.getState(copy.thread_id)).values.x, 40);
  await client.threads.delete(thread);
  await assert.rejects(client.threads.get(thread), { status: 404 });
});

test("an interrupt is answered", async () => {
  const thread = await newThread();
  const asked = await client.runs.wait(thread, "asking", { input: { x: 3 } });
  assert.deepEqual(asked.__interrupt__[0].value, { question: "is 3 right?" });
  assert.equal((await client.threads.get(thread)).status, "interrupted");
  const answered = await client.runs.wait(thread, "asking", { command: { resume: "yes" } });
  assert.equal(answered.answer, "yes");
});

test("a background run is joined", async () => {
  const thread = await newThread();
  const run = await client.runs.create(thread, "probe_core", { input: { x: 1, sleep: 0.3 } });
  assert.deepEqual(await client.runs.join(thread, run.run_id), { x: 2, pool: "CORE" });
  assert.equal((await client.runs.get(thread, run.run_id)).status, "success");
  assert.deepEqual((await client.runs.list(thread)).map((each) => each.run_id), [run.run_id]);
});

test("a run is cancelled", async () => {
  const thread = await newThread();
  const run = await client.runs.create(thread, "probe_email", { input: { sleep: 60 } });
  await client.runs.cancel(thread, run.run_id, true);
  assert.equal((await client.runs.get(thread, run.run_id)).status, "interrupted");
  await assert.rejects(client.runs.cancel(thread, run.run_id, true), { status: 404 });
});

test("a failed graph is an error, told once", async () => {
  await assert.rejects(client.runs.wait(null, "probe_email", { input: { fail: true } }), /ValueError/);
  const events = await collect(client.runs.stream(null, "probe_email", { input: { fail: true } }));
  assert.equal(events.at(-1).event, "error");
  assert.equal(events.at(-1).data.error, "ValueError");
});

test("refusals keep their status", async () => {
  const refused = (call, status) => assert.rejects(call, { status });
  await refused(client.runs.wait(null, "probe_emial", { input: {} }), 404);
  await refused(client.runs.wait(null, "probe_email", { input: { x: "one" } }), 422);
  await refused(client.runs.wait(randomUUID(), "probe_email", { input: {} }), 404);
  await refused(client.threads.getState(randomUUID()), 404);
  const thread = await newThread();
  await refused(client.threads.create({ threadId: thread }), 409);
  const stranger = new Client({ apiUrl: process.env.PLATFORM_URL, apiKey: "no-such-key" });
  await refused(stranger.runs.wait(null, "probe_email", { input: {} }), 401);
});

test("assistants of the whole fleet", async () => {
  const found = await client.assistants.search({ limit: 100 });
  const probe = found.find((each) => each.graph_id === "probe_email");
  assert.equal((await client.assistants.get(probe.assistant_id)).graph_id, "probe_email");
  assert.ok((await client.assistants.getGraph(probe.assistant_id)).nodes.some((node) => node.id === "probe"));
  assert.ok("x" in (await client.assistants.getSchemas(probe.assistant_id)).input_schema.properties);
});
