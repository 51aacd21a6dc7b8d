// Signing with an agent on this machine: what lies between the press and the service's verdict. The service begins
// the run and judges what comes of it; in between the page drives the agent, and keeps the run alive.

import * as credential from "./credential.js";
import * as wire from "./wire.js";

const keepEvery = 5000; // milliseconds; the service waits several times as long

export class Here {
  constructor() {
    this.abort = null; // of the run under way
  }

  // find looks for the agent, before anything is begun.
  find(asking) {
    return credential.find(asking);
  }

  // carryOut has the agent sign an order, and returns the service's view of what came of it.
  async carryOut(hub, id, order) {
    const abort = new AbortController();
    this.abort = abort;
    const late = AbortSignal.timeout(order.timeout);
    const keeping = setInterval(() => wire.keep(id, order.job).catch(() => {}), keepEvery);
    let result;
    try {
      result = await credential.sign(hub, order, AbortSignal.any([abort.signal, late]));
    } catch (error) {
      result = { failure: why(error, abort.signal, late) };
    } finally {
      clearInterval(keeping);
      this.abort = null;
    }
    return wire.answer(id, order.job, result);
  }

  get busy() {
    return this.abort !== null;
  }

  // stop gives up the run under way, if there is one.
  stop() {
    this.abort?.abort();
  }
}

// why names the failure: the agent's own word, or what ended the wait for it.
function why(error, stopped, late) {
  if (error instanceof credential.Failure) return error.code;
  if (stopped.aborted) return "cancelled";
  return late.aborted || error?.name === "TimeoutError" ? "agent_timeout" : "agent_unreachable";
}

export { Trouble } from "./credential.js";
