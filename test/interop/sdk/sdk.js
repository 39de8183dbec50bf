// Signs and verifies with the senders' own SDKs, for the tests: each line on
// standard input is a request, each line on standard output the answer to one,
// in any order. Ends when its input does.
//
// With the argument `full` it knows the SDKs in full/ too.
import { createInterface } from "node:readline";
import small from "./small.js";

// What an SDK prints must not come between the answers.
console.log = console.info = console.warn = console.debug = console.error;

const sdks = { ...small };
if (process.argv[2] === "full") {
  Object.assign(sdks, (await import("./full/sdks.js")).default);
}

async function answer({ op, sdk, body, time, ...rest }) {
  const known = sdks[sdk];
  if (!known) {
    throw new Error(`no such SDK: there are ${Object.keys(sdks).join(", ")}`);
  }
  if (op === "ways") {
    return { signs: Boolean(known.sign), verifies: Boolean(known.verify) };
  }
  const raw = Buffer.from(body, "base64");
  const request = { raw, text: raw.toString(), time: new Date(time), ...rest };
  if (op === "sign") {
    const signed = await known.sign(request);
    return { headers: signed.headers, body: Buffer.from(signed.body ?? raw).toString("base64") };
  }
  // An SDK says no by an answer or by throwing, each as it likes.
  try {
    const result = await known.verify(request);
    // Some also give the event as they read it: { id, type }.
    return typeof result === "object" && result ? { valid: true, event: result } : { valid: result === true };
  } catch (error) {
    if (error.code === "ERR_MODULE_NOT_FOUND") {
      throw error;
    }
    return { valid: false, why: String(error?.message ?? error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { n, ...request } = JSON.parse(line);
  answer(request)
    .catch((error) => ({
      error: String(error?.stack ?? error),
      missing: error?.code === "ERR_MODULE_NOT_FOUND",
    }))
    .then((result) => process.stdout.write(JSON.stringify({ n, ...result }) + "\n"));
}
