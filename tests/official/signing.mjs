// Signing and verifying with the providers' own libraries. Everything here works on a plain
// request: `{ headers: [[name, value], ...], body: Buffer }`.

import { createHash, createHmac, createPrivateKey, sign as signAsymmetric, timingSafeEqual } from "node:crypto";
import { createRequire } from "node:module";
import * as octokit from "@octokit/webhooks-methods";
import bolt from "@slack/bolt";
import * as standardwebhooks from "standardwebhooks";
import Stripe from "stripe";

const { dependencies } = createRequire(import.meta.url)("./package.json");
const stripe = new Stripe("sk_test_never_used_no_request_is_made");

// Secrets the receiver does not hold: a delivery may carry their signatures beside the right one.
const RETIRED_STRIPE = "whsec_hookgateFixtureStripeRetiredSecret00";
const RETIRED_STANDARD = "whsec_" + base64("hookgate fixtures, a retired key");
const FOREIGN_STANDARD = "whsec_" + base64("hookgate fixtures, a foreign key");

const LIBRARY = {
  stripe: "stripe",
  github: "@octokit/webhooks-methods",
  slack: "@slack/bolt",
  "standard-webhooks": "standardwebhooks",
};

/** The official library of a provider, as `name@version`. */
export function library(provider) {
  const name = LIBRARY[provider];
  return `${name}@${dependencies[name]}`;
}

// --- headers ---

/** The first value of a header, its name in any case. */
export function header(request, name) {
  return request.headers.find(([n]) => same(n, name))?.[1];
}

/** Gives a header one value, in its old place or at the end. */
export function setHeader(request, name, value) {
  const at = request.headers.findIndex(([n]) => same(n, name));
  const rest = request.headers.filter(([n], i) => i === at || !same(n, name));
  if (at < 0) rest.push([name, value]);
  else rest[rest.findIndex(([n]) => same(n, name))] = [request.headers[at][0], value];
  request.headers = rest;
}

export function removeHeader(request, name) {
  request.headers = request.headers.filter(([n]) => !same(n, name));
}

const same = (a, b) => a.toLowerCase() === b.toLowerCase();

// --- signing ---

/**
 * Signs a request in place as its provider would at `time` (Unix seconds).
 *
 * `list: true` adds the signatures that are not for us: a retired secret's, another scheme's. `slot` is that of the secret.
 */
export async function sign(provider, secret, time, request, { list = false, slot = "signing" } = {}) {
  const payload = text(request.body);
  switch (provider) {
    case "stripe": {
      const secrets = list ? [RETIRED_STRIPE, secret] : [secret];
      const v1 = secrets.map((s) => `v1=${stripeDigest(s, time, payload)}`);
      const v0 = createHash("sha256").update(`v0.${time}.${payload}`).digest("hex"); // no real scheme
      setHeader(request, "Stripe-Signature", [`t=${time}`, ...v1, `v0=${v0}`].join(","));
      return;
    }
    case "github": {
      // The library has dropped SHA-1; GitHub still sends it.
      const sha1 = createHmac("sha1", secret).update(request.body).digest("hex");
      setHeader(request, "X-Hub-Signature", `sha1=${sha1}`);
      setHeader(request, "X-Hub-Signature-256", await octokit.sign(secret, payload));
      return;
    }
    case "slack": {
      // The library only verifies.
      const v0 = createHmac("sha256", secret).update(`v0:${time}:`).update(request.body).digest("hex");
      setHeader(request, "X-Slack-Request-Timestamp", String(time));
      setHeader(request, "X-Slack-Signature", `v0=${v0}`);
      return;
    }
    case "gitlab":
      // Its newer versions send the time with a token too.
      setHeader(request, "webhook-timestamp", String(time));
      if (slot === "token") setHeader(request, "X-Gitlab-Token", secret);
      else setHeader(request, "webhook-signature", standard(secret).sign(header(request, "webhook-id"), new Date(time * 1000), payload));
      return;
    case "standard-webhooks": {
      const id = header(request, "webhook-id");
      const v1 = (s) => standard(s).sign(id, new Date(time * 1000), payload);
      const signatures = list
        ? [v1(RETIRED_STANDARD), v1a(id, time, payload), v1(secret), v1(FOREIGN_STANDARD)]
        : [v1(secret)];
      setHeader(request, "webhook-timestamp", String(time));
      setHeader(request, "webhook-signature", signatures.join(" "));
      return;
    }
    default:
      throw new Error(`no signer for ${provider}`);
  }
}

function stripeDigest(secret, time, payload) {
  const value = stripe.webhooks.generateTestHeaderString({ secret, timestamp: time, payload });
  return /,v1=([0-9a-f]{64})$/.exec(value)[1];
}

const standard = (secret) => new standardwebhooks.Webhook(secret);

// Standard Webhooks' public-key scheme, which the library does not have: ed25519, a fixed test key.
function v1a(id, time, payload) {
  const seed = createHash("sha256").update("hookgate fixtures, an ed25519 seed").digest();
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed]);
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" });
  return `v1a,${signAsymmetric(null, Buffer.from(`${id}.${time}.${payload}`), key).toString("base64")}`;
}

// --- verifying ---

/** Throws unless the official library takes the request at `now` (Unix seconds). */
export async function verify(provider, secret, now, request, slot = "signing") {
  const payload = text(request.body);
  switch (provider) {
    case "stripe": {
      const args = [payload, header(request, "Stripe-Signature"), secret, 300, undefined, now * 1000];
      stripe.webhooks.signature.verifyHeader(...args);
      if (!isJson(payload)) return; // signed rightly; what follows would parse it
      if (JSON.parse(payload)?.object === "v2.core.event") stripe.parseEventNotification(...args);
      else stripe.webhooks.constructEvent(...args);
      return;
    }
    case "github": {
      const signature = header(request, "X-Hub-Signature-256");
      if (!(await octokit.verify(secret, payload, signature))) throw new Error("octokit says no");
      return;
    }
    case "slack":
      bolt.verifySlackRequest({
        signingSecret: secret,
        body: payload,
        headers: {
          "x-slack-signature": header(request, "X-Slack-Signature"),
          "x-slack-request-timestamp": Number(header(request, "X-Slack-Request-Timestamp")),
        },
        nowMilliseconds: now * 1000,
      });
      return;
    case "gitlab":
      if (slot === "token") {
        // There is no library for it: the secret itself is sent.
        const [sent, ours] = [header(request, "X-Gitlab-Token") ?? "", secret].map((text) => Buffer.from(text));
        if (sent.length !== ours.length || !timingSafeEqual(sent, ours)) throw new Error("another token");
        return;
      }
    // falls through: the signing token is that of Standard Webhooks
    case "standard-webhooks":
      atTime(now, () => standard(secret).verify(payload, Object.fromEntries(request.headers)));
      return;
    default:
      throw new Error(`no verifier for ${provider}`);
  }
}

/** What a receiver must read: the event's id and type. */
export function eventOf(provider, request) {
  const type = header(request, "Content-Type") ?? "";
  const payload = text(request.body);
  const form = type.startsWith("application/x-www-form-urlencoded");
  const fields = new URLSearchParams(form ? payload : "");
  if (provider === "slack" && form && !fields.has("payload")) {
    return { event_id: fields.get("trigger_id"), event_type: fields.get("command") };
  }
  const json = JSON.parse(form ? fields.get("payload") : payload);
  switch (provider) {
    case "slack": {
      const digest = `sha256:${createHash("sha256").update(request.body).digest("hex")}`;
      return { event_id: json.event_id ?? json.trigger_id ?? digest, event_type: json.event?.type ?? json.type };
    }
    case "gitlab": {
      const { object_kind: kind, object_attributes: attributes } = json;
      return {
        event_id: header(request, "webhook-id"),
        event_type: attributes?.action === undefined ? kind : `${kind}.${attributes.action}`,
      };
    }
    case "stripe":
      return { event_id: json.id, event_type: json.type };
    case "github": {
      const name = header(request, "X-GitHub-Event");
      const event_type = json.action === undefined ? name : `${name}.${json.action}`;
      return { event_id: header(request, "X-GitHub-Delivery"), event_type };
    }
    case "standard-webhooks":
      return { event_id: header(request, "webhook-id"), event_type: json.type };
    default:
      throw new Error(`no reader for ${provider}`);
  }
}

// --- defects ---

/** Damages a rightly signed request in place; `defect` is the line of case.toml. */
export function spoil(provider, defect, request) {
  const [kind, name] = defect.split(":");
  switch (kind) {
    case "body":
      flipBody(request);
      return;
    case "time":
      shiftTime(provider, request);
      return;
    case "stale":
    case "future":
      return; // the time it was signed at is the defect
    case "signature":
      changeSignatures(provider, request, (digest) => nextDigit(provider, digest[0]) + digest.slice(1));
      return;
    case "cut":
      changeSignatures(provider, request, (digest) => digest.slice(0, digest.length / 2));
      return;
    case "missing":
      removeHeader(request, name);
      return;
    case "repeated":
      request.headers = request.headers.flatMap((h) => (same(h[0], name) ? [h, [...h]] : [h]));
      return;
    default:
      throw new Error(`no such defect: ${defect}`);
  }
}

/**
 * Flips bit 0 of the first digit, at or after the middle of the body, that follows another digit.
 *
 * A digit stays a digit and JSON stays JSON, so the place is found again: twice is none.
 */
export function flipBody(request) {
  const digit = (i) => request.body[i] >= 0x30 && request.body[i] <= 0x39;
  let at = request.body.length >> 1;
  while (at < request.body.length && !(digit(at) && digit(at - 1))) at += 1;
  if (at >= request.body.length) throw new Error("no two digits in the second half of the body");
  request.body[at] ^= 1;
}

function shiftTime(provider, request) {
  if (provider === "stripe") {
    const value = header(request, "Stripe-Signature");
    setHeader(request, "Stripe-Signature", value.replace(/^t=(\d+)/, (_, t) => `t=${Number(t) + 1}`));
  } else {
    const name = provider === "slack" ? "X-Slack-Request-Timestamp" : "webhook-timestamp";
    setHeader(request, name, String(Number(header(request, name)) + 1));
  }
}

const SIGNATURE = {
  stripe: ["Stripe-Signature", /(?<=v1=)[0-9a-f]+/g],
  github: ["X-Hub-Signature-256", /(?<=sha256=)[0-9a-f]+/g],
  slack: ["X-Slack-Signature", /(?<=v0=)[0-9a-f]+/g],
  gitlab: ["webhook-signature", /(?<=v1,)[A-Za-z0-9+/=]+/g],
  "standard-webhooks": ["webhook-signature", /(?<=v1,)[A-Za-z0-9+/=]+/g],
};

function changeSignatures(provider, request, change) {
  const sent = provider === "gitlab" && header(request, "X-Gitlab-Token") !== undefined;
  const [name, digests] = sent ? ["X-Gitlab-Token", /^.*$/g] : SIGNATURE[provider];
  setHeader(request, name, header(request, name).replace(digests, change));
}

// Another digit of the same alphabet; the decoded length stays.
function nextDigit(provider, digit) {
  const hex = "0123456789abcdef";
  const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const digits = ["standard-webhooks", "gitlab"].includes(provider) ? base64 : hex;
  return digits[digits.indexOf(digit) ^ 1];
}

// --- small things ---

// The libraries sign text; a body that is not UTF-8 could not be given to them unchanged.
const text = (bytes) => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);

function base64(bytes) {
  return Buffer.from(bytes).toString("base64");
}

export function isJson(payload) {
  try {
    JSON.parse(payload);
    return true;
  } catch {
    return false;
  }
}

// `standardwebhooks` asks the wall clock; this one stands still.
function atTime(now, call) {
  const real = Date.now;
  Date.now = () => now * 1000;
  try {
    return call();
  } finally {
    Date.now = real;
  }
}
