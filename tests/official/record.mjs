// Records deliveries signed by the providers' own libraries, for the gateway's tests to judge.
//
//   node record.mjs           writes vectors.json
//   node record.mjs --check   exit 1 unless vectors.json is what would be written
//
// Both ask the libraries about every vector, and about documented.json, which is written by hand.

import { createPublicKey, verify as verifyAsymmetric } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { parseRequest, readCases } from "./fixtures.mjs";
import { eventOf, header, library, setHeader, sign, spoil, verify } from "./signing.mjs";

const VECTORS = new URL("vectors.json", import.meta.url);
const DOCUMENTED = new URL("documented.json", import.meta.url);
const NOW = 1767225600;

const STRIPE = "whsec_officialVectorsStripeSecretNotReal";
const GITHUB = "a GitHub secret is any text, even with spaces";
const SLACK = "0fficial5vectors5slack5not5real5";
const STANDARD = "whsec_" + encoded("thirty-two bytes of standard key");

const SIGNATURE = {
  stripe: "Stripe-Signature",
  github: "X-Hub-Signature-256",
  slack: "X-Slack-Signature",
  "standard-webhooks": "webhook-signature",
};

const vectors = [];
const cases = readCases();

// --- what the libraries take ---

for (const name of ["invoice.paid", "checkout.session.completed", "v2-thin-event"]) {
  await accept(`the fixture ${name}`, "stripe", STRIPE, bodyOf(`stripe/${name}`));
}
for (const name of ["push", "pull_request.opened", "issue_comment.created-form-encoded"]) {
  const { headers, body } = fixture(`github/${name}`);
  await accept(`the fixture ${name}`, "github", GITHUB, body, { headers });
}
for (const name of ["user.created", "contact.deleted"]) {
  await accept(`the fixture ${name}`, "standard-webhooks", STANDARD, bodyOf(`standard-webhooks/${name}`));
}

for (const name of ["app_mention", "slash-command", "block_actions", "block_suggestion"]) {
  const { headers, body } = fixture(`slack/${name}`);
  await accept(`the fixture ${name}`, "slack", SLACK, body, { headers });
}

const TEXTS = {
  "empty object": "{}",
  "letters of many alphabets": `{"id":"evt_ünïcödé_1","type":"имя.δοκιμή","action":"名前","text":"Zażółć gęślą jaźń العربية עברית ไทย 한국어"}`,
  "emoji and joiners": `{"id":"evt_emoji_1","type":"note.created","action":"pinned","text":"👩‍👩‍👧‍👦 🏳️‍🌈 \u200b\u2028\u2029 é é 🙂"}`,
  "escapes": String.raw`{"id":"evt_\u0065sc\u0061ped_1","type":"note\u002ecreated","action":"\u006fpened","text":"\"\\\/\b\f\n\r\t\u0000\ud83d\ude42 \u003cscript\u003e"}`,
  "CRLF between the lines": `{\r\n  "id": "evt_crlf_1",\r\n  "type": "note.created",\r\n  "action": "opened"\r\n}\r\n`,
  "numbers beyond 64 bits": `{"id":"evt_numbers_1","type":"note.created","action":"opened","n":[18446744073709551616,-9223372036854775809,1.7976931348623157e308,5e-324,0.1,-0,1E+2,123456789012345678901234567890.123456789]}`,
  "white space around it": ` \t\r\n\n {"id" : "evt_space_1" ,\t"type":"note.created","action" :"opened"}\n\n   \t\n`,
  "the names of its id and type also deeper": `{"data":{"object":{"id":"deep_1","type":"deep.type","action":"deep"}},"list":[{"id":"x","type":"y","action":"z"}],"id":"evt_top_1","type":"note.created","action":"opened"}`,
};
for (const [name, body] of Object.entries(TEXTS)) {
  await accept(name, "stripe", STRIPE, body);
  await accept(name, "github", GITHUB, body);
  await accept(name, "slack", SLACK, body);
  await accept(name, "standard-webhooks", STANDARD, body);
}

const LARGE = `{"type":"note.created","action":"opened","text":"${filler(100 * 1024)}","id":"evt_large_1"}`;
await accept("100 KiB, the id at its end", "stripe", STRIPE, LARGE);

const SMALL = `{"id":"evt_small_1","type":"note.created","action":"opened"}`;
const form = [["Content-Type", "application/x-www-form-urlencoded"]];
await accept("a form with plus, percent and case", "github", GITHUB,
  "payload=%7b%22action%22%3A%22opened%22%2C%22text%22%3A%22a%2Bb+c%20d%26e%3df%25+%C3%A9%22%7D", { headers: form });
await accept("a form with the payload last", "github", GITHUB,
  "first=1&empty=&payload=%7B%22action%22%3A%22opened%22%7D", { headers: form });
await accept("a form charset", "github", GITHUB, "payload=%7B%22ref%22%3A%22refs%2Fheads%2Fmain%22%7D", {
  headers: [["Content-Type", "application/x-www-form-urlencoded; charset=utf-8"]],
});

await accept("a secret of many alphabets", "stripe", "whsec_ключ-密钥-🔑-ß", SMALL);
await accept("a secret with quotes and signs", "stripe", `whsec_"'\\$\{x}%20&=,;#~`, SMALL);
await accept("a secret of many alphabets", "github", "ключ-密钥-🔑-ß", SMALL);
await accept("a secret with quotes, signs and a space", "github", `it's "a" \\ secret, $\{x}%20&=;#~`, SMALL);
await accept("a secret longer than the hash's block", "github", "0123456789abcdef".repeat(9), SMALL);
await accept("a secret of 24 bytes", "standard-webhooks", "whsec_" + encoded("twenty-four bytes of key"), SMALL);
await accept("a secret of 64 bytes with plus and slash", "standard-webhooks",
  "whsec_" + Buffer.from(Array.from({ length: 64 }, (_, i) => 255 - i)).toString("base64"), SMALL);
await accept("a secret without its prefix", "standard-webhooks", encoded("a key without prefix, 32 bytes.."), SMALL);

await accept("signatures of two secrets, ours last", "stripe", STRIPE, SMALL, { list: true });
await accept("signatures of two secrets, the time last", "stripe", STRIPE, SMALL, {
  list: true,
  change: (request) => reorder(request, (parts) => parts.reverse()),
});
await accept("a list of signatures, ours in the middle", "standard-webhooks", STANDARD, SMALL, { list: true });
await accept("an id of other characters", "standard-webhooks", STANDARD, SMALL, { id: "2026/01#7:a~b+c=d_e" });
await accept("an empty body", "standard-webhooks", STANDARD, "");
await accept("300 seconds old", "stripe", STRIPE, SMALL, { age: 300 });
await accept("300 seconds old", "slack", SLACK, SMALL, { age: 300 });
await accept("300 seconds old", "standard-webhooks", STANDARD, SMALL, { age: 300 });
await accept("300 seconds ahead", "standard-webhooks", STANDARD, SMALL, { age: -300 });

// --- what they refuse ---

for (const [provider, secret] of [["stripe", STRIPE], ["github", GITHUB], ["slack", SLACK], ["standard-webhooks", STANDARD]]) {
  const body = `{"id":"evt_refused_1","type":"note.created","action":"opened","n":1234567890}`;
  const refused = (name, change, options) => refuse(name, provider, secret, body, { ...options, change });
  const flip = (at, bit) => (request) => void (request.body[at] ^= 1 << bit);

  await refused("a bit of the body's first byte", flip(0, 0));
  await refused("a bit of the body's last byte", flip(body.length - 1, 1));
  await refused("a bit in the middle of the body", (request) => spoil(provider, "body", request));
  await refused("a byte more", (request) => void (request.body = Buffer.concat([request.body, Buffer.from("\n")])));
  await refused("a byte less", (request) => void (request.body = request.body.subarray(0, -1)));
  await refused("a digit of the signature", (request) => spoil(provider, "signature", request));
  await refused("half of the signature", (request) => spoil(provider, "cut", request));
  await refused("no signature", (request) => spoil(provider, `missing:${SIGNATURE[provider]}`, request));
  await refused("signed with another secret", () => {}, { signer: secret.replace(/.{4}$/, "AAA=") });
  if (provider === "github") continue;
  await refused("the time moved by a second", (request) => spoil(provider, "time", request));
  await refused("301 seconds old", () => {}, { age: 301 });
}
await refuse("301 seconds ahead", "standard-webhooks", STANDARD, SMALL, { age: -301 });
await refuse("another id", "standard-webhooks", STANDARD, SMALL, {
  change: (request) => setHeader(request, "webhook-id", "msg_another"),
});
await refuse("the right digest under another version", "standard-webhooks", STANDARD, SMALL, {
  change: (request) => relabel(request, "webhook-signature", "v1,", "v2,"),
});
await refuse("the right digest as v0 only", "stripe", STRIPE, SMALL, {
  change: (request) => reorder(request, ([time, v1]) => [time, v1.replace("v1=", "v0=")]),
});
await refuse("only the retired secret's signature", "stripe", STRIPE, SMALL, {
  list: true,
  change: (request) => reorder(request, ([time, retired]) => [time, retired]),
});
await refuse("the SHA-1 signature in the place of the other", "github", GITHUB, SMALL, {
  change: (request) => setHeader(request, "X-Hub-Signature-256", header(request, "X-Hub-Signature")),
});

// --- the file ---

await checkDocumented();
const recorded = `[\n${vectors.map((vector) => JSON.stringify(vector)).join(",\n")}\n]\n`;
if (!process.argv.includes("--check")) {
  writeFileSync(VECTORS, recorded);
} else if (readFileSync(VECTORS, "utf8") !== recorded) {
  console.error("vectors.json is not what the libraries make today; run `node record.mjs`");
  process.exitCode = 1;
}
const refusals = vectors.filter((vector) => vector.refused).length;
console.log(`${vectors.length - refusals} vectors accepted, ${refusals} refused by the libraries`);

// --- recording ---

async function accept(name, provider, secret, body, options = {}) {
  const request = await delivery(provider, secret, body, options);
  await verify(provider, secret, NOW, request);
  vectors.push(vector(name, provider, secret, request, readable(provider, request)));
}

async function refuse(name, provider, secret, body, options = {}) {
  const request = await delivery(provider, secret, body, options);
  const refused = await verify(provider, secret, NOW, request).then(() => false, () => true);
  if (!refused) throw new Error(`${provider} takes: ${name}`);
  vectors.push(vector(name, provider, secret, request, { refused: true }));
}

// A rightly signed delivery, then changed.
async function delivery(provider, secret, body, options) {
  const { headers = [], id = "msg_37Ghq2dRzJmyLqP5oZkT8uYbNcX", age = 2, list, signer, change } = options;
  const base = {
    stripe: [["Content-Type", "application/json; charset=utf-8"]],
    github: [
      ["Content-Type", "application/json"],
      ["X-GitHub-Delivery", "2f6b9c1e-e6a4-11f0-8d3b-5a7c9e0f1b24"],
      ["X-GitHub-Event", "issues"],
    ],
    slack: [["Content-Type", "application/json"]],
    "standard-webhooks": [["Content-Type", "application/json"], ["webhook-id", id]],
  };
  const request = { headers: base[provider], body: Buffer.from(body) };
  for (const [name, value] of headers) setHeader(request, name, value);
  await sign(provider, signer ?? secret, NOW - age, request, { list });
  change?.(request);
  return request;
}

function vector(name, provider, secret, { headers, body }, judged) {
  const body_base64 = body.toString("base64");
  return { name, library: library(provider), provider, secret, now: NOW, headers, body_base64, ...judged };
}

// The event's id and type, so far as this body has them.
function readable(provider, request) {
  if (request.body.length > 0) return eventOf(provider, request);
  return { event_id: header(request, "webhook-id") };
}

// --- documented.json ---

async function checkDocumented() {
  for (const { name, provider, secret, now, headers, body_base64 } of JSON.parse(readFileSync(DOCUMENTED, "utf8"))) {
    const request = { headers, body: Buffer.from(body_base64, "base64") };
    try {
      if (secret.startsWith("whpk_")) verifyPublicKey(secret, request);
      else await verify(provider, secret, now, request);
    } catch (cause) {
      throw new Error(`documented.json: ${name}`, { cause });
    }
  }
}

// Standard Webhooks with a public key, which the JavaScript library does not have.
function verifyPublicKey(secret, request) {
  const raw = Buffer.from(secret.slice("whpk_".length), "base64");
  const spki = Buffer.concat([Buffer.from("302a300506032b6570032100", "hex"), raw]);
  const key = createPublicKey({ key: spki, format: "der", type: "spki" });
  const signed = `${header(request, "webhook-id")}.${header(request, "webhook-timestamp")}.${request.body}`;
  const signature = Buffer.from(header(request, "webhook-signature").slice("v1a,".length), "base64");
  if (!verifyAsymmetric(null, Buffer.from(signed), key, signature)) throw new Error("ed25519 says no");
}

// --- small things ---

function fixture(name) {
  const { path } = cases.find((c) => c.name === name);
  const { headers, body } = parseRequest(readFileSync(path));
  const wanted = ["content-type", "x-github-delivery", "x-github-event"];
  return { headers: headers.filter(([n]) => wanted.includes(n.toLowerCase())), body };
}

function bodyOf(name) {
  return fixture(name).body;
}

// Changes the elements of a Stripe-Signature header.
function reorder(request, change) {
  const parts = header(request, "Stripe-Signature").split(",");
  setHeader(request, "Stripe-Signature", change(parts).join(","));
}

function relabel(request, name, from, to) {
  setHeader(request, name, header(request, name).replaceAll(from, to));
}

function filler(length) {
  const words = "widgets come and widgets go, the counter counts them, row by row. ";
  return words.repeat(Math.ceil(length / words.length)).slice(0, length);
}

function encoded(text) {
  return Buffer.from(text).toString("base64");
}
