// Signs every fixture anew with its provider's own library, then applies its defect.
//
//   node sign-fixtures.mjs           rewrites fixtures/*/*/request.http
//   node sign-fixtures.mjs --check   changes nothing; exit 1 if it would, or if a library disagrees
//
// All is taken from case.toml and from the request less its signature, so a second run changes nothing.

import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { formatRequest, parseRequest, readCases } from "./fixtures.mjs";
import { eventOf, flipBody, header, setHeader, sign, spoil, verify } from "./signing.mjs";

const SIGNED_BEFORE_NOW = { stale: 301, future: -301 }; // seconds; the tolerance is 300
const DELIVERY_TIME = 2;
const UNSIGNED = ["slack/ssl_check"];
const LISTS = ["stripe/rotated-secret", "standard-webhooks/signature-list"];

async function signed(fixture, bytes) {
  const { name, provider, secret, slot, now, defect = "" } = fixture;
  const request = parseRequest(bytes);
  mend(fixture, request);
  const time = now - (SIGNED_BEFORE_NOW[defect] ?? DELIVERY_TIME);
  if (UNSIGNED.includes(name)) return formatRequest(request);
  await sign(provider, secret, time, request, { list: LISTS.includes(name), slot });
  if (defect) spoil(provider, defect, request);
  return formatRequest(request);
}

// Takes a defect back out, as far as signing would not do it anyway.
function mend({ name, defect = "" }, request) {
  const [kind, which] = defect.split(":");
  if (kind === "body") flipBody(request);
  if (kind === "repeated") setHeader(request, which, header(request, which));
  if (defect === "missing:webhook-id") setHeader(request, which, lostId(name));
  setHeader(request, "Content-Length", String(request.body.length));
}

// The id that a delivery without one had when it was signed: any, but always the same.
const lostId = (name) => `msg_${createHash("sha256").update(name).digest("hex").slice(0, 27)}`;

// What is wrong with a request on disk, or undefined.
async function complaint({ provider, secret, slot, now, ...fixture }, request) {
  const takes = await verify(provider, secret, now, request, slot).then(() => true, () => false);
  if (fixture.expect === "handshake") {
    return takes || UNSIGNED.includes(fixture.name) ? undefined : "a handshake, but the library refuses it";
  }
  if (fixture.expect === "accepted") {
    const { event_id, event_type } = eventOf(provider, request);
    if (!takes) return "accepted, but the library refuses it";
    if (event_id !== fixture.event_id) return `event_id is ${event_id}`;
    if (event_type !== fixture.event_type) return `event_type is ${event_type}`;
    return undefined;
  }
  if (takes && !unseen(provider, fixture.reason)) return "rejected, but the library takes it";
  return undefined;
}

// What the libraries do not look at: a repeated header (they are given one value), what lies in a
// rightly signed delivery, and in the case of Stripe and Slack the future.
function unseen(provider, reason) {
  if (reason === "time-too-new") return ["stripe", "slack"].includes(provider);
  return ["header-repeated", "event-id-missing", "malformed-body", "handshake-unfit"].includes(reason);
}

const check = process.argv.includes("--check");
const seen = new Map();
let failures = 0;
let changed = 0;

function fail(name, what) {
  console.error(`${name}: ${what}`);
  failures += 1;
}

for (const fixture of readCases()) {
  const { name, path } = fixture;
  const before = readFileSync(path);
  const after = await signed(fixture, before);
  const wrong = await complaint(fixture, parseRequest(after));
  if (wrong) fail(name, wrong);
  if (fixture.event_id) {
    if (seen.has(fixture.event_id)) fail(name, `has the event id of ${seen.get(fixture.event_id)}`);
    seen.set(fixture.event_id, name);
  }
  if (before.equals(after)) continue;
  changed += 1;
  if (check) fail(name, "is not as it would be signed");
  else writeFileSync(path, after);
}
console.log(`${changed} of the fixtures ${check ? "would be" : "were"} changed`);
process.exitCode = failures ? 1 : 0;
