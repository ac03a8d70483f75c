// A traced JavaScript caller whose call carries both header families. Prints {"run_id", "w3c_trace_id", "output"}.
import { randomBytes } from "node:crypto";

import { Client } from "@langchain/langgraph-sdk";
import { Client as Tracer } from "langsmith";
import { getCurrentRunTree, traceable } from "langsmith/traceable";

const tracer = new Tracer();
const w3c = randomBytes(16).toString("hex");
const facts = { w3c_trace_id: w3c };

const followUp = traceable(
  async (input) => {
    const tree = getCurrentRunTree();
    facts.run_id = tree.id;
    const traceparent = `00-${w3c}-${randomBytes(8).toString("hex")}-01`;
    const client = new Client({
      apiUrl: process.env.PLATFORM_URL,
      apiKey: process.env.PLATFORM_API_KEY,
      defaultHeaders: { ...tree.toHeaders(), traceparent },
    });
    return client.runs.wait(null, "probe_email", { input });
  },
  { name: "sendFollowUp", client: tracer, tracingEnabled: true },
);

facts.output = await followUp({ x: 1 });
await tracer.awaitPendingTraceBatches();
console.log(JSON.stringify(facts));
