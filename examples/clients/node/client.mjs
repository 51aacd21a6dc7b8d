// A client of the Signing Service in JavaScript for Node 20 and newer: jose for the JWTs, Node's own crypto for the rest.
//
//	npm ci && node client.mjs payload.xml…
//
// Each file holds one payload, a canonical SignedInfo. The rest is in the environment; see ../README.md.
// Exit code: 0 signed, 3 not signed (cancelled, expired or failed), 1 anything else.

import { constants, createPublicKey, randomBytes, randomUUID, timingSafeEqual, verify, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { importPKCS8, SignJWT } from "jose";

const { SIGNING_URL, TOKEN_URL, CLIENT_ID, KID, SUB, ALGORITHM = "RS256", ID_TOKEN, LISTEN = "9090", POLL = "5" } = process.env;
const KEY = await importPKCS8(await readFile(process.env.KEY, "utf8"), "RS512");
const PATIENCE = 35 * 60; // seconds; the page is open for 30 minutes by default

// An answer that does not change when you send the request again.
class Refused extends Error {
  constructor(status, body) {
    const code = body.code ?? body.error;
    super(`${status} ${code}: ${body.message ?? body.error_description} (request ${body.requestId ?? body.message_id})`);
    Object.assign(this, { status, code });
  }
}

const seconds = () => Math.floor(Date.now() / 1000);
const signJWT = (claims) => new SignJWT(claims).setProtectedHeader({ alg: "RS512", typ: "JWT", kid: KID }).sign(KEY);
const jsonOf = async (answer) => (await answer.json().catch(() => null)) ?? {};

// [retry] After a lost answer, 429 or 503, send the same request again. Wait as long as Retry-After says.
async function sendUntilAnswered(send, until) {
  for (;;) {
    let wait = 1, answer, lost;
    try {
      answer = await send();
      if (answer.status !== 429 && answer.status !== 503) return answer;
      const retry = answer.headers.get("retry-after") ?? "";
      if (/^\d+$/.test(retry)) wait = Number(retry);
    } catch (error) { // refused, cut off or too late: it may have arrived or not
      lost = error;
      console.error("no answer:", error.cause?.code ?? error.name);
    }
    if (seconds() + wait > until) throw lost ?? new Refused(answer.status, await jsonOf(answer));
    await sleep(wait * 1000);
  }
}
// [/retry]

// [token] Exchange a signed JWT for an access token. Keep the token until shortly before it expires.
let held = { until: 0 };

async function accessToken() {
  if (seconds() < held.until) return held.token;
  const form = { grant_type: "client_credentials", client_assertion_type: "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" };
  if (ID_TOKEN) {
    form.grant_type = "urn:ietf:params:oauth:grant-type:token-exchange";
    form.subject_token_type = "urn:ietf:params:oauth:token-type:id_token";
    form.subject_token = (await readFile(ID_TOKEN, "utf8")).trim();
  }
  const answer = await sendUntilAnswered(async () => { // each assertion works once
    const assertion = await signJWT({ iss: CLIENT_ID, sub: CLIENT_ID, aud: TOKEN_URL, jti: randomUUID(), exp: seconds() + 240 });
    const body = new URLSearchParams({ ...form, client_assertion: assertion });
    return fetch(TOKEN_URL, { method: "POST", body, redirect: "manual", signal: AbortSignal.timeout(30_000) });
  }, seconds() + 120);
  if (answer.status !== 200) throw new Refused(answer.status, await jsonOf(answer));
  const got = await answer.json();
  held = { token: got.access_token, until: seconds() + Number(got.expires_in) * 0.8 };
  return held.token;
}
// [/token]

// [call] Send the token with every call. After 401 get a new one, once. 403 means that another kind of token is needed.
async function call(method, path, until, body) {
  for (let attempt = 1; ; attempt++) {
    const answer = await sendUntilAnswered(async () => fetch(SIGNING_URL + path, {
      method, body, redirect: "manual", signal: AbortSignal.timeout(30_000),
      headers: { Authorization: `Bearer ${await accessToken()}`, "Content-Type": "text/plain" },
    }), until);
    if (answer.status === 200) return answer.json();
    const refused = new Refused(answer.status, await jsonOf(answer));
    if (!(answer.status === 401 && refused.code === "access_token" && attempt === 1)) throw refused;
    held.until = 0;
  }
}
// [/call]

// [request] One JWT asks for 1 to 250 signatures. The same JWT sent again is the same request.
async function ask(payloads, state) {
  const iat = seconds();
  const request = await signJWT({
    iss: CLIENT_ID, sub: SUB, aud: SIGNING_URL, iat, exp: iat + 600, jti: randomUUID(), algorithm: ALGORITHM,
    payloads: payloads.map(({ id, payload }) => ({ id, payload: payload.toString("base64") })),
  });
  return call("POST", "/signaturerequest?state=" + encodeURIComponent(state), iat + 600, request);
}
// [/request]

// [fetch] 200: signed. 400 not_opened and 404 not_signed: not yet. 410: it will never be signed.
async function fetchSignatures(token) {
  try {
    return await call("GET", "/signatureresponse/" + token, seconds() + 120);
  } catch (error) {
    if (error.code === "not_opened" || error.code === "not_signed") return null;
    throw error;
  }
}
// [/fetch]

// [verify] RSASSA-PKCS1-v1_5, with SHA-256 for RS256 and SHA-1 for RS1, over the unchanged bytes of the payload.
const HASHES = { RS256: "RSA-SHA256", RS1: "RSA-SHA1" };

function verifyAll(payloads, { signatures, certificate }) {
  const key = new X509Certificate(Buffer.from(certificate, "base64")).publicKey;
  if (signatures.length !== payloads.length) throw new Error("the signatures are not those that were asked for");
  payloads.forEach(({ id, payload }, i) => {
    const signature = Buffer.from(signatures[i].signature, "base64");
    const holds = signatures[i].id === id && verify(HASHES[ALGORITHM], payload, { key, padding: constants.RSA_PKCS1_PADDING }, signature);
    if (!holds) throw new Error(`the signature of ${id} does not verify`);
  });
}
// [/verify]

// [assemble] The finished XML signature: the payload as it was signed, the signature, the certificate.
const assemble = (payload, signature, certificate) =>
  `<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">${payload.toString("utf8")}<SignatureValue>${signature}</SignatureValue>` +
  `<KeyInfo><X509Data><X509Certificate>${certificate}</X509Certificate></X509Data></KeyInfo></Signature>`;
// [/assemble]

// [webhook] Accept a webhook if one of the service's keys signed it, it is recent, and its id is new.
let webhookKeys = [];
const seen = new Set();

async function loadWebhookKeys() {
  const set = await (await fetch(SIGNING_URL + "/jwks.json", { signal: AbortSignal.timeout(10_000) })).json();
  webhookKeys = set.keys.filter((key) => key.crv === "Ed25519").map((key) => createPublicKey({ key, format: "jwk" }));
}

async function takeWebhook(headers, body) {
  const id = headers["webhook-id"], stamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d+$/.test(stamp) || Math.abs(seconds() - Number(stamp)) > 300) return null;
  const content = Buffer.concat([Buffer.from(`${id}.${stamp}.`), body]);
  const signatures = (headers["webhook-signature"] ?? "").split(" ").filter((text) => text.startsWith("v1a,"));
  const signed = () => signatures.some((text) =>
    webhookKeys.some((key) => verify(null, content, key, Buffer.from(text.slice("v1a,".length), "base64"))));
  if (!signed()) {
    await loadWebhookKeys(); // the keys change: fetch them again before refusing
    if (!signed()) return null;
  }
  const again = seen.has(id); // keep the ids for three days
  seen.add(id);
  return { ...JSON.parse(body.toString("utf8")), again };
}
// [/webhook]

// [callback] The browser's return and the webhook are hints. Trust only what you fetch.
const mine = { state: randomBytes(16).toString("base64url"), token: "", news: new AbortController() };
const same = (a, b) => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b));

function comesBack(address, response) {
  const query = address.searchParams;
  if (address.pathname !== "/signed" || query.get("token") !== mine.token || !same(query.get("state") ?? "", mine.state)) {
    return response.writeHead(400).end("This is not a return that was waited for.");
  }
  console.log("callback", query.get("error") ?? "ok");
  response.writeHead(200, { "Content-Type": "text/plain" }).end("Thank you. You may close this window.");
  mine.news.abort();
}

async function isTold(address, request, response) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) if ((size += chunk.length) <= 1 << 16) chunks.push(chunk);
  let event;
  try {
    event = await takeWebhook(request.headers, Buffer.concat(chunks));
  } catch {
    return response.writeHead(503).end(); // no keys now: the webhook will come again
  }
  if (address.pathname !== "/webhook" || !event) return response.writeHead(400).end();
  response.writeHead(204).end();
  if (event.data.token === mine.token && !event.again) {
    console.log("webhook", event.type);
    mine.news.abort();
  }
}

const server = createServer((request, response) => {
  const address = new URL(request.url, "http://localhost");
  return request.method === "POST" ? isTold(address, request, response) : comesBack(address, response);
});
// [/callback]

// [poll] Wait for news, and poll every few seconds as well: the browser may be closed, or a webhook late.
async function waitForSignatures(token) {
  for (const until = seconds() + PATIENCE; seconds() < until; ) {
    const response = await fetchSignatures(token);
    if (response) return response;
    await sleep(Number(POLL) * 1000, null, { signal: mine.news.signal }).catch(() => {});
    mine.news = new AbortController();
  }
  throw new Error("nobody has signed in time");
}
// [/poll]

async function main(files) {
  const payloads = await Promise.all(files.map(async (file) => ({ id: basename(file, extname(file)), payload: await readFile(file) })));
  await once(server.listen(Number(LISTEN), "127.0.0.1"), "listening");

  const { token, redirectUri } = await ask(payloads, mine.state);
  mine.token = token;
  console.log("open", redirectUri); // send the person's browser there
  const response = await waitForSignatures(token);
  verifyAll(payloads, response);
  for (const [i, { id, payload }] of payloads.entries()) {
    await writeFile(`${id}.signed.xml`, assemble(payload, response.signatures[i].signature, response.certificate));
  }
  console.log("signed", payloads.length);
}

try {
  await main(process.argv.slice(2));
  process.exit(0);
} catch (error) {
  console.error(error.status === 410 ? "not signed:" : "error:", error.message);
  process.exit(error.status === 410 ? 3 : 1);
}
