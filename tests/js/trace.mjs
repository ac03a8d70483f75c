// The JavaScript SDK as a sender: a chain with an LLM call and a tool that fails, then feedback; reads both back.
// Prints {"trace_id", "runs", "feedback"}. With READ=0 it only sends.
import { setTimeout as pause } from "node:timers/promises";

import { Client } from "langsmith";
import { getCurrentRunTree, traceable } from "langsmith/traceable";

const client = new Client();
const on = { client, tracingEnabled: true };
const usage_metadata = { input_tokens: 100, output_tokens: 50, total_tokens: 150 };
const metadata = { ls_provider: "openai", ls_model_name: "gpt-4o-mini" };

const model = traceable(async (prompt) => ({ text: `re: ${prompt}`, usage_metadata }), {
  ...on,
  name: "model",
  run_type: "llm",
  metadata,
});
const tool = traceable(
  async () => {
    throw new Error("tool broke");
  },
  { ...on, name: "tool", run_type: "tool" },
);
const chain = traceable(
  async (question) => {
    const answer = await model(question);
    await tool().catch(() => null);
    return { answer: answer.text, trace_id: getCurrentRunTree().trace_id };
  },
  { ...on, name: "chain", tags: ["outer"], metadata: { "langgraph.assistant_id": "email_compose" } },
);

const { trace_id } = await chain("why?");
await client.awaitPendingTraceBatches();
if (process.env.READ === "0") process.exit(0);

const { id } = await client.createFeedback(trace_id, "helpful", { score: 1, comment: "good" });
await client.awaitPendingTraceBatches();
const project = await client.readProject({ projectName: process.env.LANGSMITH_PROJECT });
const runs = [];
for await (const run of client.listRuns({ projectId: project.id, traceId: trace_id })) runs.push(run);
let feedback = null;
for (let left = 50; left && !feedback; left -= 1) {
  feedback = await client.readFeedback(id).catch(() => pause(100).then(() => null));
}
console.log(
  JSON.stringify({
    trace_id,
    runs: Object.fromEntries(runs.map((run) => [run.name, [run.run_type, run.status, run.total_tokens ?? 0]])),
    feedback: feedback && [feedback.run_id, feedback.key, feedback.score, feedback.comment],
  }),
);
