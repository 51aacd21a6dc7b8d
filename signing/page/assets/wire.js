// The calls between page and service. Addresses are relative: the page stands at <base>/client.

const patience = 15000; // milliseconds until an answer counts as lost

// Lost: no answer, so nothing is known of what became of the call.
export class Lost extends Error {}

// Refused: the service answered with an error. Its body is {statusCode, error, message, code, requestId}, and with
// "sign_in" {signInUri} besides; where a sign-in was made that does not count, also {reason, signIn}: why, who is needed
// and who came. What stands before the service (a proxy) may have answered with anything else.
export class Refused extends Error {
  constructor(status, body) {
    super(typeof body.message === "string" ? body.message : "");
    this.status = status;
    this.code = typeof body.code === "string" ? body.code : "";
    this.signIn = typeof body.signInUri === "string" ? body.signInUri : "";
    this.reason = typeof body.reason?.code === "string" ? body.reason.code : "";
    this.wanted = typeof body.signIn?.session === "string" ? body.signIn : null;
    this.requestId = typeof body.requestId === "string" ? body.requestId : "";
  }

  // passing: the same call may well succeed a moment later.
  get passing() {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

// open claims the session for this browser. An address that holds the token carries its whole query as it
// stands, byte for byte, because the client's state is in it; after that the session's id is enough, since an
// HttpOnly cookie proves the browser.
export function open(search) {
  const query = search.replace(/^\?/, "");
  const session = parameter(query, "session");
  return post("client/open", session !== null ? { id: session } : { token: parameter(query, "token") ?? "", query });
}

// about is the address of a call about a session, whose id in the query has the claim checked before the body is read.
const about = (what, id) => `client/${what}?id=${encodeURIComponent(id)}`;

export const sign = (id, way = 0) => post(about("sign", id), way > 0 ? { id, way } : { id });
export const keep = (id, job) => post(about("keep", id), { id, job });
export const answer = (id, job, result) => post(about("answer", id), { id, job, ...result });
export const display = (id) => post(about("display", id), { id });
export const look = (id, looked) => post(about("looked", id), { id, looked });
export const decline = (id, declined) => post(about("decline", id), { id, declined });
export const cancel = (id) => post("client/cancel", { id });
export const poll = (id) => call(about("session", id), {});

// giveUp tells that the page goes while its run is under way. It is sent to its end without the page, and nobody waits.
export function giveUp(id, job) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": csrf };
  fetch(about("answer", id), { method: "POST", headers, keepalive: true, body: JSON.stringify({ id, job, failure: "page_closed" }) }).catch(() => {});
}

// parameter reads one value of a raw query. A plus stays a plus.
function parameter(query, name) {
  for (const pair of query.split("&")) {
    const [key, ...value] = pair.split("=");
    if (key !== name) continue;
    try {
      return decodeURIComponent(value.join("="));
    } catch {
      return value.join("=");
    }
  }
  return null;
}

// The CSRF value. The shell has it, unless the service does not know this browser yet; then it is asked for, which gives
// the browser its cookie. Tabs ask one after another: if two asked at once, each would be given a cookie, and the browser
// would keep one of them.
let csrf = document.querySelector("meta[name=csrf]").content;

async function proof() {
  if (csrf !== "") return csrf;
  const ask = async () => (csrf = String((await call("client/browser", { method: "POST" })).csrf));
  if (!navigator.locks) return ask();
  return navigator.locks.request("countersign-browser", { signal: AbortSignal.timeout(patience) }, ask).catch((error) => {
    throw error instanceof Refused ? error : new Lost();
  });
}

// post makes a call with the CSRF value. Where the cookie is another by now, it asks for the new value, once.
async function post(path, body) {
  for (let again = false; ; again = true) {
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": await proof() };
    try {
      return await call(path, { method: "POST", headers, body: JSON.stringify(body) });
    } catch (error) {
      if (again || !(error instanceof Refused) || error.code !== "csrf") throw error;
      csrf = "";
    }
  }
}

// drop gives up every call that is not answered yet; each ends as Lost. A browser has six connections to a service, so
// a few calls that hang would keep the next one waiting.
export function drop() {
  unanswered.abort();
  unanswered = new AbortController();
}

let unanswered = new AbortController();

async function call(path, options) {
  const signal = AbortSignal.any([unanswered.signal, AbortSignal.timeout(patience)]);
  let response;
  let body;
  try {
    response = await fetch(path, { credentials: "same-origin", cache: "no-store", redirect: "error", signal, ...options });
    body = await response.text();
  } catch {
    throw new Lost();
  }
  const answer = response.status === 204 ? {} : object(body);
  if (!response.ok) throw new Refused(response.status, answer ?? {});
  if (answer === null) throw new Lost();
  return answer;
}

function object(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" ? value : null;
  } catch {
    return null;
  }
}
