// Reads a JSON array of Caddyfiles from standard input and writes, for each line of each, the
// scopes that the grammar named by the argument gives to its first character that is no white
// space. The grammar is injected, as the extension's package.json says, into one that knows
// nothing of a Caddyfile.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import oniguruma from "vscode-oniguruma";
import textmate from "vscode-textmate";

const wasm = readFileSync(createRequire(import.meta.url).resolve("vscode-oniguruma/release/onig.wasm"));
await oniguruma.loadWASM(wasm);
const injected = JSON.parse(readFileSync(process.argv[2], "utf8"));
const registry = new textmate.Registry({
  onigLib: Promise.resolve({
    createOnigScanner: (patterns) => new oniguruma.OnigScanner(patterns),
    createOnigString: (text) => new oniguruma.OnigString(text),
  }),
  loadGrammar: async (scope) => (scope === injected.scopeName ? injected : { scopeName: scope, patterns: [] }),
  getInjections: (scope) => (scope === "source.Caddyfile" ? [injected.scopeName] : undefined),
});
const grammar = await registry.loadGrammar("source.Caddyfile");
const scopes = JSON.parse(readFileSync(0, "utf8")).map((text) => {
  let state = textmate.INITIAL;
  return text.split("\n").map((line) => {
    const result = grammar.tokenizeLine(line, state);
    state = result.ruleStack;
    const at = Math.max(line.search(/\S/), 0);
    return result.tokens.find((token) => token.startIndex <= at && at < token.endIndex)?.scopes ?? [];
  });
});
process.stdout.write(JSON.stringify(scopes));
