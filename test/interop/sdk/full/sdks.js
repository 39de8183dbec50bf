// The SDKs that only `make test-full` runs, beside those of ../small.js.
import { File } from "node:buffer";
import { webcrypto } from "node:crypto";
import addressed from "./addressed.js";
import certified from "./certified.js";
import fetched from "./fetched.js";
import plain from "./plain.js";
import special from "./special.js";
import stamped from "./stamped.js";

// Node.js 18 lacks these names, and some SDKs count on them.
globalThis.crypto ??= webcrypto;
globalThis.File ??= File;

export default { ...addressed, ...certified, ...fetched, ...plain, ...special, ...stamped };
