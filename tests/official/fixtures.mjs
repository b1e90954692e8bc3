// Reading and writing fixtures/<provider>/<case>/{request.http,case.toml}.

import { readFileSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../../fixtures/", import.meta.url));

/** Every case, sorted: its name, its case.toml, and where its request lies. */
export function readCases() {
  return folders(ROOT).flatMap((provider) =>
    folders(`${ROOT}/${provider}`).map((name) => {
      const folder = `${ROOT}/${provider}/${name}`;
      const path = `${folder}/request.http`;
      return { name: `${provider}/${name}`, path, ...parseToml(readFileSync(`${folder}/case.toml`, "utf8")) };
    }),
  );
}

const folders = (path) =>
  readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();

// Flat `key = value` lines, a value being a string or a whole number: the same in TOML and JSON.
function parseToml(source) {
  const lines = source.split("\n").filter((line) => line && !line.startsWith("#"));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.indexOf(" = ");
      return [line.slice(0, at), JSON.parse(line.slice(at + 3))];
    }),
  );
}

/** Takes a request on the wire apart. */
export function parseRequest(bytes) {
  const end = bytes.indexOf("\r\n\r\n");
  const [line, ...head] = bytes.subarray(0, end).toString("latin1").split("\r\n");
  const headers = head.map((h) => [h.slice(0, h.indexOf(":")), h.slice(h.indexOf(":") + 1).trim()]);
  return { line, headers, body: Buffer.from(bytes.subarray(end + 4)) };
}

/** Puts it together again. */
export function formatRequest({ line, headers, body }) {
  const head = [line, ...headers.map(([name, value]) => `${name}: ${value}`)].join("\r\n");
  return Buffer.concat([Buffer.from(`${head}\r\n\r\n`, "latin1"), body]);
}
