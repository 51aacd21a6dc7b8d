// The signing page. This file wires the service's answers (wire.js) to the drawing (screen.js).
//
//	             open                  sign
//	(opening) ─────────► opened ◄────────────► signing ─────► signed ──► back to the client, by itself
//	    │                  │  ▲  a reason and     │  │
//	    │ refused          │  │  another try      │  └────────► failed     ┐
//	    ▼                  │  └───────────────────┘                        │  a link back
//	(refused)              ├──── (cancelling) ─────────────► cancelled     │  to the client
//	(turned away) ─────────┘──────── time ──────────────────► expired      ┘
//
// Where the service wants to know who is there, it sends the browser to sign in. Whoever comes back and is not the one who
// is to sign is turned away: told who is needed and who came, and offered to sign in anew or to cancel.
//
// What is to be signed is shown only while there is something to sign and the person is there who is to sign it. The page
// drops it when the request ends, when they log out, and when it is left, so that the browser's back button brings back
// nothing. It hides it while it cannot be sure: out of sight, and while no answer comes.
//
// The states are the service's; only those in brackets are the page's own. The page never guesses a state: it
// asks (poll) and draws the answer. Beside any of them it may be "lost": no answer came, it asks again, later
// each time. One question is open at a time; when a newer one has been asked, an older one's answer is dropped.
// Only a simulated smartcard starts by itself (autostart); a real card signs after a press.
//
// A confirmed cancel is the person's last word. Whatever else is under way, it ends the page's own work at once, is
// sent at once, and is sent again until the service has answered it; no other answer is drawn meanwhile.
//
// Where the service shows prescriptions, the page asks for them once it has the items, and nothing is signed before the
// answer. They are shown, hidden and dropped with the items.
//
// A request may have several ways to a card, in the service's order. For one on this very machine the page looks for
// the agent first (here.js): if there is none, it goes on to the next way; if it may not look, it says what to do.

import { webAddress } from "./dom.js";
import { Here, Trouble } from "./here.js";
import * as prescriptionWords from "./prescriptionwords.js";
import { Screen } from "./screen.js";
import * as wire from "./wire.js";

const pace = { signing: 300, waiting: 2000, hidden: 15000, lost: 1000, lostAtMost: 15000, goodbye: 1200 }; // milliseconds
const ended = ["signed", "failed", "cancelled", "expired"];
const pastHelp = ["csrf", "origin"]; // errors that only a reload can mend

const screen = new Screen({ sign: (way) => sign(way), signIn, cancel, show, look: keepLook, reload: () => location.reload() });
const here = new Here();
const tabs = new BroadcastChannel("countersign-page"); // of this browser; it carries ids of sessions to look at
let view = null; // the newest answer
let away = null; // what is known of the request while the person is turned away
let newest = 0; // the newest question
let losses = 0; // questions in a row without an answer
let acting = false; // between a press and its answer
let cancelling = false; // between a confirmed cancel and its answer
let declined = []; // what is wrong, where the cancel gives the request back
let looks = {}; // at prescriptions, that the service is yet to be told of
let telling = false; // it of some
let leaving = false; // on the way to another page
let started = false; // autostart happens once
let told = false; // the other tabs know that there is nothing to show any more
let asked = false; // for the prescriptions
let over = false; // nothing is asked any more
let timer = 0;

async function ask(question, onRefused, then) {
  clearTimeout(timer);
  const mine = ++newest;
  let answer;
  try {
    answer = await question();
  } catch (error) {
    if (mine !== newest) return;
    if (error instanceof wire.Refused && !(error.passing && view)) onRefused(error);
    else if (error instanceof wire.Lost || error instanceof wire.Refused) lost();
    else throw error;
    return;
  }
  if (mine !== newest) return;
  arrived(answer);
  then?.(answer);
}

const open = () => ask(() => wire.open(location.search), signInOr(refused));

// signIn goes to where the person signs in, as they asked.
function signIn() {
  if (acting || cancelling || leaving) return;
  busy(true);
  ask(() => wire.open(location.search).finally(() => busy(false)), signInOr(refused, true));
}
const poll = () => ask(() => wire.poll(view.id), refused);

function busy(on) {
  acting = on;
  screen.busy(on);
}

// act asks for what the person pressed. Refused, it says why and looks at how things really stand.
function act(question, then) {
  busy(true);
  ask(() => question(view.id).finally(() => busy(false)), signInOr((error) => {
    if (pastHelp.includes(error.code)) return refused(error);
    screen.problem(error);
    poll();
  }), then);
}

// sign has one of the request's ways sign it.
async function sign(way = 0) {
  if (acting || cancelling || screen.barred) return;
  if (!view.ways?.[way]?.local) return act((id) => wire.sign(id, way));
  busy(true);
  let hub;
  try {
    hub = await here.find(() => screen.asking());
  } catch (error) {
    busy(false);
    if (here.stopped(error)) return;
    if (!(error instanceof Trouble)) throw error;
    if (error.kind === "missing" && way + 1 < view.ways.length) return sign(way + 1);
    return screen.trouble(view, error.kind, way);
  }
  act((id) => wire.sign(id, way), (answer) => answer.order && carryOut(hub, answer.order));
}

// carryOut has the agent sign an order. If it was stopped there is nothing to say: who stopped it knows the state.
async function carryOut(hub, order) {
  let answer;
  try {
    answer = await here.carryOut(hub, view.id, order);
  } catch {
    if (!cancelling && !over) poll();
    return;
  }
  if (answer !== null && !cancelling) arrived(answer);
}

// cancel ends the request, as the person has confirmed, perhaps for items that something is wrong with.
function cancel(wrong = []) {
  if (cancelling || over) return;
  cancelling = true;
  declined = wrong;
  if (leaving) window.stop();
  leaving = false;
  here.stop();
  wire.drop();
  screen.cancelling(view ?? away, declined.length);
  sendCancel();
}

const sendCancel = () => ask(() => {
  const { id } = view ?? away;
  return declined.length > 0 ? wire.decline(id, declined) : wire.cancel(id);
}, signInOr((error) => refused(error, true)));

function arrived(answer) {
  if (over) return;
  clearTimeout(timer);
  losses = 0;
  screen.lost(false);
  if (view === null) history.replaceState(null, "", `client?session=${encodeURIComponent(answer.id)}`); // the token leaves the address bar
  const shown = !answer.signedOut && !ended.includes(answer.state);
  view = { ...answer, items: shown ? (answer.items ?? view?.items) : null, here: Boolean(answer.order) || here.busy };
  view.late = view.state !== "signed" ? "" : cancelling ? "sent" : screen.asksToCancel ? "asked" : "";
  if (view.state !== "opened") here.stopLooking();
  if (view.state !== "signing") here.stopRun(); // a look for the agent goes on: nothing is signed before it has ended
  screen.draw(view);
  screen.conceal(document.hidden);
  over = ended.includes(view.state);
  away = null;
  cancelling = false;
  if (!shown && !told) tabs.postMessage(view.id);
  told = !shown;
  if (view.state === "signed" && !view.late) goBack();
  if (over) return;
  if (!shown) asked = false;
  if (view.display && view.items && !asked) show();
  if (view.autostart && !started && !screen.barred && view.state === "opened" && !view.reason && !view.signedOut) {
    started = true;
    return sign();
  }
  timer = setTimeout(shown && !view.items ? open : poll, rest()); // signed in again, in another tab: the items come with open
}

// rest is how long to wait before asking again.
function rest() {
  if (view.state === "signing" && !view.here) return pace.signing;
  return document.hidden && !view.here ? pace.hidden : pace.waiting;
}

// show asks for the prescriptions, beside whatever else is asked.
async function show() {
  asked = true;
  screen.bar("display", prescriptionWords.loading);
  let prescriptions;
  let refusal = null;
  try {
    prescriptions = await wire.display(view.id);
  } catch (error) {
    if (!(error instanceof wire.Refused || error instanceof wire.Lost)) throw error;
    refusal = error;
  }
  if (!view?.items || over || cancelling) return; // there is nothing to show any more
  if (refusal !== null) return signInOr(() => {
    screen.unseen(view, prescriptionWords.failed(view));
    arrived(view);
  })(refusal);
  screen.show(view, prescriptions);
  arrived(view);
}

// keepLook keeps that the person has looked at a prescription, or has not. One call is under way at a time, with all that came
// together meanwhile. What does not arrive is told with the next: it is a help to memory, and no more.
async function keepLook(id, looked) {
  looks[id] = looked;
  if (telling) return;
  telling = true;
  try {
    while (view?.items && Object.keys(looks).length > 0) {
      const now = looks;
      looks = {};
      try {
        await wire.look(view.id, now);
      } catch (error) {
        if (!(error instanceof wire.Refused || error instanceof wire.Lost)) throw error;
        looks = { ...now, ...looks };
        return;
      }
    }
  } finally {
    telling = false;
  }
}

function lost() {
  screen.lost(true);
  screen.conceal(true);
  const again = cancelling ? sendCancel : view ? poll : open;
  timer = setTimeout(again, Math.min(pace.lost * 2 ** losses++, pace.lostAtMost));
}

// signInOr goes to where the person signs in, if that is what is asked for. The way leads back here. Where somebody has
// signed in who does not count, that is told first, and the person decides.
function signInOr(otherwise, decided = false) {
  return (error) => {
    const address = error.code === "sign_in" ? webAddress(error.signIn) : null;
    if (address === null) return otherwise(error);
    if (error.wanted !== null && !decided) return turnAway(error);
    leaving = true;
    location.replace(address);
  };
}

function turnAway(error) {
  view = null;
  away = { ...error.wanted, id: error.wanted.session, reason: error.reason, requestId: error.requestId };
  history.replaceState(null, "", `client?session=${encodeURIComponent(away.id)}`);
  here.stop();
  losses = 0;
  screen.lost(false);
  screen.turnAway(away);
  tabs.postMessage(away.id); // where the request was open, nobody is signed in any more
}

function refused(error, toCancel = false) {
  over = true;
  here.stop();
  screen.lost(false);
  screen.refuse(error, toCancel);
}

// look asks how things stand, unless an answer that will tell is on its way.
function look() {
  if (view && !acting && !cancelling && !leaving && !over) poll();
}

// goBack leaves the person a moment to see that it is done. The page does not stay in the history.
function goBack() {
  const address = webAddress(view.redirectUri);
  if (address !== null) timer = setTimeout(() => location.replace(address), pace.goodbye);
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) screen.conceal(true);
  else look();
});

tabs.addEventListener("message", (event) => event.data === view?.id && look());

// The browser may keep a page that is left, and show it again as it was.
addEventListener("pagehide", () => {
  here.leave();
  if (view) view.items = null;
  screen.drop();
});
addEventListener("pageshow", (event) => event.persisted && location.reload());

open();
