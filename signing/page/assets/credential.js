// The way to a smartcard on this very machine: NHS Credential Management, or an agent that speaks its wire. It
// listens on loopback, at one of a few ports, and speaks ASP.NET SignalR 2 (classic) over long polling.
//
// Nothing here knows the service. find says where the agent is, or throws a Trouble that says why not; sign hands
// it an order and returns what it returned. One reply comes for the whole order, so there is no progress to tell.

const ports = [43487, 44213, 45031, 46478, 48853];
const patience = { look: 4000, ask: 60000, call: 15000 }; // milliseconds; ask: for the person, to let the page look

// Trouble: the agent was not reached. Its kind is one of missing, permission_denied, permission_open, origin_refused.
export class Trouble extends Error {
  constructor(kind) {
    super(kind);
    this.kind = kind;
  }
}

// Failure: the agent was reached and did not sign. Its code is one of the service's own.
export class Failure extends Error {
  constructor(code) {
    super(code);
    this.code = code;
  }
}

// find returns the agent's address. The browser may ask the person first whether this page may look at all;
// asking is called when it is about to. Aborted, find throws an AbortError, also where the person allows it later.
export async function find(asking, abort) {
  const unlessAborted = async (step) => {
    const result = await step;
    abort.throwIfAborted();
    return result;
  };
  const before = await unlessAborted(permission());
  if (before === "denied") throw new Trouble("permission_denied");
  if (before === "prompt") asking();
  const found = await unlessAborted(first(before === "prompt" ? patience.ask : patience.look, abort));
  if (found !== null) return found;
  const after = await unlessAborted(permission());
  if (after === "denied") throw new Trouble("permission_denied");
  if (after === "prompt") throw new Trouble("permission_open");
  const there = await unlessAborted(Promise.all(ports.map((port) => knock(port, abort))));
  throw new Trouble(there.includes(true) ? "origin_refused" : "missing");
}

// permission is granted, denied or prompt; empty where the browser does not ask for any.
async function permission() {
  for (const name of ["loopback-network", "local-network-access"]) {
    try {
      return (await navigator.permissions.query({ name })).state;
    } catch {
      // a browser that does not know this name
    }
  }
  return "";
}

// first asks all ports at once, and returns the first agent that answers, or null. While the browser asks the person, no
// port answers; so once any of them is settled, the person has decided, and the others have no more than the usual time.
async function first(limit, abort) {
  const over = new AbortController();
  const signal = AbortSignal.any([abort, over.signal]);
  let last = 0;
  const settled = () => (last ||= setTimeout(() => over.abort(), patience.look));
  const looks = ports.map(async (port) => {
    const at = await look(port, limit, signal);
    settled();
    if (at === null) throw new Trouble("missing");
    return at;
  });
  try {
    return await Promise.any(looks);
  } catch {
    return null;
  } finally {
    clearTimeout(last);
    over.abort();
  }
}

async function look(port, limit, signal) {
  try {
    const answer = await call(`http://localhost:${port}/PRS/GetPortNumber`, { limit, signal });
    const at = Number(answer?.portData?.portNumber);
    return Number.isInteger(at) && at > 0 && at < 65536 ? `http://localhost:${at}/signalr` : null;
  } catch {
    return null;
  }
}

// knock tells whether anything answers, whatever it is: what refuses this page's origin does not let it read more.
async function knock(port, abort) {
  try {
    const signal = AbortSignal.any([abort, AbortSignal.timeout(patience.look)]);
    await fetch(`http://localhost:${port}/PRS/GetPortNumber`, { mode: "no-cors", cache: "no-store", signal });
    return true;
  } catch {
    return false;
  }
}

// sign hands over an order. It ends when the agent answers, or abort says that nobody wants it any more.
export async function sign(hub, order, abort) {
  const link = new Link(hub, abort);
  try {
    await link.open();
    return read(await link.invoke("requestToSign", request(order)));
  } finally {
    link.close();
  }
}

function request(order) {
  const { algorithm, payloads } = order;
  const text = JSON.stringify({ algorithm, requestType: 1, version: 1, flags: 0, payloads });
  return btoa(Array.from(new TextEncoder().encode(text), (byte) => String.fromCharCode(byte)).join(""));
}

// Link is one SignalR connection to the hub.
class Link {
  constructor(hub, abort) {
    this.hub = hub;
    this.over = new AbortController();
    abort.addEventListener("abort", () => this.over.abort());
    if (abort.aborted) this.over.abort();
  }

  address(verb, more = {}) {
    const query = { transport: "longPolling", clientProtocol: "1.5", connectionData: '[{"name":"signinghub"}]', ...more };
    if (this.token !== undefined) query.connectionToken = this.token;
    return `${this.hub}/${verb}?${new URLSearchParams(query)}`;
  }

  call(verb, options = {}) {
    return call(this.address(verb, options.query), { signal: this.over.signal, limit: patience.call, ...options });
  }

  async open() {
    const agreed = await this.call("negotiate");
    if (typeof agreed?.ConnectionToken !== "string") throw new Failure("agent_garbage");
    this.token = agreed.ConnectionToken;
    this.cursor = (await this.call("connect"))?.C ?? "";
    await this.call("start");
  }

  // invoke calls a method of the hub. Its result comes with the answer, or by a poll.
  async invoke(method, argument) {
    const data = JSON.stringify({ H: "signinghub", M: method, A: [argument], I: 0 });
    const body = new URLSearchParams({ data });
    let polled;
    const byPoll = new Promise((resolve) => (polled = resolve));
    this.poll(polled);
    const byAnswer = this.call("send", { method: "POST", body, limit: 0 }).then((answer) => (settled(answer) ? answer : byPoll));
    const answer = await Promise.race([byAnswer, byPoll]);
    if (answer.E !== undefined) throw new Failure("agent_refused");
    return answer.R;
  }

  async poll(found) {
    let failures = 0;
    while (!this.over.signal.aborted && failures < 5) {
      try {
        const answer = await this.call("poll", { query: { messageId: this.cursor }, limit: 0 });
        failures = 0;
        this.cursor = answer?.C ?? this.cursor;
        const result = (answer?.M ?? []).find(settled) ?? (settled(answer) ? answer : undefined);
        if (result !== undefined) return found(result);
      } catch {
        failures++;
        await new Promise((resolve) => setTimeout(resolve, 200 * failures));
      }
    }
  }

  close() {
    this.over.abort();
    if (this.token === undefined) return;
    const address = this.address("abort");
    fetch(address, { method: "POST", mode: "cors", credentials: "include", keepalive: true }).catch(() => {});
  }
}

const settled = (answer) => answer !== null && typeof answer === "object" && (answer.R !== undefined || answer.E !== undefined) && String(answer.I ?? 0) === "0";

// read takes the hub's result apart: {certificate, signatures}, or a Failure.
function read(result) {
  const outcome = typeof result === "string" ? parse(result) : result;
  if (outcome === null || typeof outcome !== "object") throw new Failure("agent_garbage");
  if (String(outcome.status_code) !== "0") throw new Failure(why(outcome));
  const { certificate, signatures } = outcome;
  if (typeof certificate !== "string" || !Array.isArray(signatures)) throw new Failure("agent_garbage");
  const lean = signatures.map((one) => ({ id: String(one?.id), signature: String(one?.signature) }));
  if (!isBase64(certificate) || !lean.every(({ signature }) => isBase64(signature))) throw new Failure("agent_garbage");
  return { certificate, signatures: lean };
}

const known = {
  "0x53494705": "no_card",
  "0x53494703": "agent_refused",
  PR30007: "agent_unreachable",
};
const own = ["no_card", "wrong_pin", "cancelled", "agent_unreachable", "agent_refused", "agent_timeout", "agent_garbage"];

// why turns the agent's code into the service's. Where there is none for it, its words may tell.
function why({ status_code: code, status_string: status, message }) {
  const name = typeof code === "number" ? `0x${code.toString(16)}` : String(code);
  if (known[name]) return known[name];
  if (own.includes(name)) return name;
  const words = `${status ?? ""} ${message ?? ""}`;
  if (/\bPIN\b|passcode/i.test(words)) return "wrong_pin";
  if (/cancel/i.test(words)) return "cancelled";
  if (/\bno (smart)?card\b/i.test(words)) return "no_card";
  return "agent_refused";
}

async function call(address, { method = "GET", body, signal, limit }) {
  const signals = [signal, limit > 0 && AbortSignal.timeout(limit)].filter(Boolean);
  const response = await fetch(address, {
    method, body, mode: "cors", credentials: "include", cache: "no-store", redirect: "error", signal: signals.length > 0 ? AbortSignal.any(signals) : undefined,
  });
  const text = await response.text();
  if (!response.ok) throw new Failure("agent_refused");
  const answer = parse(text);
  if (answer === null && text.trim() !== "") throw new Failure("agent_garbage");
  return answer;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const isBase64 = (text) => /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text) && text !== "";
