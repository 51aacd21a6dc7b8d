// Signing with an agent on this machine: what lies between the press and the service's verdict. The service begins
// the run and judges what comes of it; in between the page drives the agent, and keeps the run alive.

import * as credential from "./credential.js";
import * as wire from "./wire.js";

const keepEvery = 5000; // milliseconds; the service waits several times as long

export class Here {
  constructor() {
    this.search = null; // under way, to be aborted
    this.run = null; // likewise
    this.order = null; // of the run, with the session's id
  }

  // find looks for the agent, before anything is begun.
  async find(asking) {
    const search = new AbortController();
    this.search = search;
    try {
      return await credential.find(asking, search.signal);
    } finally {
      this.search = null;
    }
  }

  // stopped tells whether an error of find is that it was stopped.
  stopped(error) {
    return error?.name === "AbortError";
  }

  // carryOut has the agent sign an order, and returns the service's view of what came of it; null if it was stopped,
  // in which case whatever the agent has signed goes nowhere.
  async carryOut(hub, id, order) {
    const run = new AbortController();
    this.run = run;
    this.order = { id, job: order.job };
    const late = AbortSignal.timeout(order.timeout);
    const keeping = setInterval(() => wire.keep(id, order.job).catch(() => {}), keepEvery);
    let result;
    try {
      result = await credential.sign(hub, order, AbortSignal.any([run.signal, late]));
    } catch (error) {
      result = { failure: why(error, late) };
    } finally {
      clearInterval(keeping);
      this.run = null;
    }
    return run.signal.aborted ? null : wire.answer(id, order.job, result);
  }

  get busy() {
    return this.run !== null;
  }

  stopLooking() {
    this.search?.abort();
  }

  // leave gives up what is under way, since the page goes, and says so to the service: else it would wait.
  leave() {
    const { order } = this;
    const busy = this.busy;
    this.stop();
    if (busy) wire.giveUp(order.id, order.job);
  }

  // stop gives up whatever is under way.
  stop() {
    this.stopLooking();
    this.stopRun();
  }

  stopRun() {
    this.run?.abort();
  }
}

// why names the failure: the agent's own word, or what ended the wait for it.
function why(error, late) {
  if (error instanceof credential.Failure) return error.code;
  return late.aborted || error?.name === "TimeoutError" ? "agent_timeout" : "agent_unreachable";
}

export { Trouble } from "./credential.js";
