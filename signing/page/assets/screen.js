// The drawing. A Screen shows one view at a time in the fixed regions of the shell: heading, lost, notice,
// progress, summary, items, actions, small print. A region is made anew only when its state changes, and within
// a state only numbers move, so nothing that a person reads, opens or has focused is pulled away.

import { digits, el, icon, visible, webAddress } from "./dom.js";
import { Items } from "./items.js";
import { Prescriptions } from "./prescriptions.js";
import * as prescriptionWords from "./prescriptionwords.js";
import * as words from "./words.js";

const ended = ["signed", "failed", "cancelled", "expired"];
const regions = ["banner", "main", "heading", "lost", "notice", "progress", "summary", "prescriptions", "items", "barred", "actions", "small", "announcer"];

export class Screen {
  // handlers are sign (by one of the request's ways), signIn, cancel (perhaps for items that something is wrong with), show
  // (the prescriptions), look (at one of them) and reload: what the person may ask for.
  constructor(handlers) {
    this.on = handlers;
    this.at = Object.fromEntries(regions.map((id) => [id, document.getElementById(id)]));
    this.drawn = "";
    this.troubled = null; // the tab's title while the agent on this machine is not reached
    this.announced = -1;
    this.question = null; // whether to cancel, while it is open
    this.presses = [];
    this.items = null;
    this.focused = null; // in the items, while they are hidden
    this.bars = {}; // why nothing can be signed now, by what keeps it from it
    this.declined = []; // ids of the items that the person finds something wrong with
  }

  // draw shows a view; the first one must have its items.
  draw(view) {
    const key = [view.state, view.reason?.code, view.tries, view.here, view.local, view.late, view.signedOut, Boolean(view.items)].join(" ");
    if (key !== this.drawn) {
      this.drawn = key;
      this.stage(view);
    }
    document.title = this.troubled ?? words.title(view);
    this.items?.mark(view.marks);
    if (view.state === "signing") this.count(view);
  }

  // stage sets the scene for a state that has just been entered.
  stage(view) {
    this.troubled = null;
    const story = { ...words.story(view), reference: words.reference(view) };
    const wrong = view.late || (view.signedOut && view.state === "opened") || view.state === "failed" || view.state === "expired" || (view.state === "opened" && Boolean(view.reason));
    this.head(story.heading, wrong ? "bang" : view.state === "signed" ? "tick" : null);
    this.at.main.dataset.state = view.state;
    this.at.notice.replaceChildren(notice(story, wrong ? "notice-error" : view.state === "signed" ? "notice-done" : ""));
    this.at.progress.replaceChildren();
    if (view.state === "signing") this.meter(view);
    this.summarise(view);
    if (view.mock) this.mock();
    if (!view.items) this.drop();
    else if (!this.items) {
      this.items = new Items(view);
      this.at.items.replaceChildren(this.items.element);
    }
    this.at.small.textContent = `Signature algorithm: ${view.algorithm}`;
    if (view.state === "signed") this.announce(`All done. ${words.progressed(view)}.`);
    this.offer(view, this.actions(view));
  }

  // drop takes what is to be signed out of the page.
  drop() {
    this.items = null;
    this.focused = null;
    this.at.items.replaceChildren();
    this.forget();
  }

  // conceal hides what is to be signed, or shows it again with the focus where it was.
  conceal(on) {
    if (on === this.at.items.hidden) return;
    if (on) this.focused = [this.at.items, this.at.prescriptions].some((at) => at.contains(document.activeElement)) ? document.activeElement : null;
    this.at.items.hidden = this.at.prescriptions.hidden = on;
    if (!on) this.focused?.focus();
  }

  // offer shows what can be done. While the person is asked whether to cancel, the question stays where it is, so that
  // its answer is not pulled from under their hand; it goes once there is nothing to cancel any more.
  offer(view, actions) {
    if (this.question !== null && !ended.includes(view.state)) {
      this.question.ask(view, actions);
      return;
    }
    this.question = null;
    this.at.actions.replaceChildren(...actions);
    this.at.heading.focus();
  }

  head(text, sign) {
    this.at.heading.replaceChildren(...(sign ? [icon(sign)] : []), text);
  }

  summarise(view) {
    const until = new Date(view.expires);
    const rows = [
      ended.includes(view.state) && ["Asked by", el("bdi", {}, ...visible(view.client))],
      ["Signing as", view.name ? el("div", {}, el("bdi", { class: "holder" }, ...visible(view.name)), el("br"), digits(view.sub)) : digits(view.sub)],
      !ended.includes(view.state) && !Number.isNaN(until.getTime()) && ["Sign before", el("time", { datetime: view.expires }, words.time(until))],
    ];
    this.list(rows);
  }

  list(rows) {
    this.at.summary.replaceChildren(...rows.filter(Boolean).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
    this.at.summary.hidden = false;
  }

  // meter shows progress: item by item, or, where one answer comes for all, only that it goes on.
  meter(view) {
    if (view.here || view.local) {
      this.bar = null;
      this.at.progress.replaceChildren(el("progress", { "aria-labelledby": "heading" }));
      this.announce("Signing has started.");
      return;
    }
    this.bar = el("progress", { max: view.total, value: 0, "aria-labelledby": "heading" });
    this.counted = el("p", { class: "counted" });
    this.at.progress.replaceChildren(this.bar, this.counted);
    this.announced = 0;
    this.announce("Signing has started.");
  }

  // count moves the progress, and says so about ten times in all.
  count(view) {
    if (this.bar === null) return;
    this.bar.value = view.signed;
    this.counted.textContent = words.progressed(view);
    if (view.signed < view.total && view.signed - this.announced >= Math.max(1, view.total / 10)) {
      this.announced = view.signed;
      this.announce(words.progressed(view));
    }
  }

  actions(view) {
    this.presses = []; // the buttons that a press makes busy
    if (ended.includes(view.state)) return [way(view)].filter(Boolean);
    const row = el("div", { class: "buttons" });
    if (view.state === "opened" && view.signedOut) {
      row.append(this.press("Sign in again", "button", () => this.on.signIn()));
    } else if (view.state === "opened" && (!view.reason || view.reason.retry)) {
      const label = view.reason ? "Try again" : `Sign ${words.items(view.total)} for ${view.client}`;
      row.append(this.press(label, "button sign", () => this.on.sign()));
    }
    row.append(el("button", { type: "button", class: "button button-warning decline", onclick: () => this.confirm(view, this.declined) }, "Give back unsigned"));
    row.append(el("button", { type: "button", class: "button button-secondary cancel", onclick: () => this.confirm(view) }, "Cancel"));
    this.showBars(row);
    return [row];
  }

  press(label, kind, onclick) {
    const button = el("button", { type: "button", class: kind, onclick }, label);
    this.presses.push(button);
    return button;
  }

  // confirm asks once, in place, whether to cancel, or to give back for what is declined. Focus goes to the question and
  // not to its answer, so that a second press of the same key does not cancel.
  confirm(view, declined = []) {
    const told = words.question(view, declined.length);
    let back = [...this.at.actions.childNodes];
    const keep = () => {
      this.question = null;
      this.at.actions.replaceChildren(...back);
      this.showBars(this.at.actions);
      this.at.actions.querySelector(declined.length > 0 ? ".decline" : ".cancel")?.focus();
    };
    const asked = el("p", { id: "question", tabindex: "-1" }, told.ask);
    const known = el("div", { id: "known", class: "known" });
    const no = el("button", { type: "button", class: "button button-secondary", onclick: keep });
    const ask = (now, actions) => {
      back = actions;
      known.replaceChildren(...words.uncancellable(now).map((text) => el("p", {}, text)));
      no.textContent = now.state === "signing" ? "No, go on signing" : "No, go back";
    };
    ask(view, back);
    this.question = { ask };
    this.at.actions.replaceChildren(
      el("div", { class: "question", role: "group", "aria-labelledby": "question", "aria-describedby": "known", onkeydown: (event) => event.key === "Escape" && keep() },
        asked, known,
        el("div", { class: "buttons" },
          el("button", { type: "button", class: "button button-warning", onclick: () => this.on.cancel(declined) }, told.yes), no)));
    asked.focus();
  }

  get asksToCancel() {
    return this.question !== null;
  }

  // cancelling stands between the confirmed cancel and the service's answer.
  cancelling(view, declined) {
    const told = words.cancelling(view, declined);
    this.drawn = "";
    this.question = null;
    document.title = `${told.heading} – Signing Service`;
    this.head(told.heading, null);
    this.at.main.dataset.state = "cancelling";
    for (const region of ["progress", "actions"]) this.at[region].replaceChildren();
    this.at.notice.replaceChildren(notice(told, ""));
    this.announce(told.heading);
    this.at.heading.focus();
  }

  // turnAway tells who signed in and does not count, and who is needed.
  turnAway(away) {
    const told = words.turnedAway(away);
    this.question = null;
    this.presses = [];
    this.drawn = "";
    document.title = `${told.heading} – Signing Service`;
    this.head(told.heading, "bang");
    this.at.main.dataset.state = "away";
    this.drop();
    for (const region of ["progress", "small"]) this.at[region].replaceChildren();
    this.at.notice.replaceChildren(notice(told, "notice-error"));
    this.list([
      ["Asked by", away.client],
      away.sub && [away.reason === "wrong_user" ? "Asked to sign" : "Signing as", digits(away.sub)],
      away.reason === "wrong_user" && away.user && ["Signed in", el("div", {}, away.name ? el("div", {}, el("bdi", {}, ...visible(away.name))) : null, digits(away.user))],
      away.reason === "insufficient_level" && away.least && ["Sign-in", words.strength(away)],
    ]);
    const row = el("div", { class: "buttons" }, this.press(told.again, "button", () => this.on.signIn()));
    row.append(el("button", { type: "button", class: "button button-secondary cancel", onclick: () => this.confirm({ ...away, state: "opened" }) }, "Cancel"));
    this.offer({ state: "opened" }, [row]);
  }

  // asking says that the browser is about to ask the person something.
  asking() {
    const told = words.asking();
    this.at.notice.replaceChildren(el("div", { role: "status" }, notice(told, "")));
  }

  // trouble says why the agent on this machine was not reached, what to do, and which ways are left.
  trouble(view, kind, way) {
    const told = { ...words.trouble(kind), reference: words.short(view.id) };
    this.troubled = document.title = words.failedTitle(told);
    this.head(told.heading, "bang");
    this.at.notice.replaceChildren(notice(told, "notice-error"));
    const row = this.actions({ ...view, reason: { retry: true } });
    if (way + 1 < view.ways.length) {
      const other = this.press("Use another way to sign", "button button-secondary", () => this.on.sign(way + 1));
      row[0].lastElementChild.before(other);
    }
    this.offer(view, row);
  }

  // bar keeps everything from being signed, and says why; without a reason it no longer does.
  bar(by, why) {
    if (why) this.bars[by] = why;
    else delete this.bars[by];
    this.showBars(this.at.actions);
  }

  get barred() {
    return Object.keys(this.bars).length > 0;
  }

  showBars(within) {
    this.at.barred.textContent = Object.values(this.bars).join(" ");
    for (const button of within.querySelectorAll(".decline")) button.hidden = this.declined.length === 0;
    for (const button of within.querySelectorAll(".sign")) {
      button.classList.toggle("off", this.barred);
      button.setAttribute("aria-disabled", String(this.barred));
      if (this.barred) button.setAttribute("aria-describedby", "barred");
      else button.removeAttribute("aria-describedby");
    }
  }

  // show puts what is signed on the page, or says that it cannot be shown.
  show(view, shown) {
    if (shown.display !== "shown") return this.unseen(view, prescriptionWords.fallback(view, shown));
    this.bar("display", null);
    words.callThem("prescription");
    this.drawn = "";
    const prescriptions = new Prescriptions(shown, {
      filter: (hidden) => this.bar("filter", hidden > 0 && prescriptionWords.filtered(hidden)),
      look: this.on.look,
      wrong: (ids) => {
        this.declined = ids;
        this.bar("wrong", ids.length > 0 && prescriptionWords.marked(ids.length));
      },
    });
    this.at.prescriptions.replaceChildren(prescriptions.element);
    this.announce(prescriptionWords.counts(shown));
  }

  // unseen says that prescriptions are not shown, and what follows.
  unseen(view, told) {
    this.forget();
    words.callThem("item");
    this.bar("display", told.refuses && told.text.at(-1));
    this.at.prescriptions.replaceChildren(el("div", { class: "notice notice-error", role: "alert" },
      ...told.text.map((text) => el("p", {}, text)), told.next && el("p", {}, told.next),
      el("p", {}, el("button", { type: "button", class: "button button-secondary", onclick: () => this.on.show() }, "Look again"))));
  }

  // forget takes prescriptions off the page.
  forget() {
    this.at.prescriptions.replaceChildren();
    this.bars = {};
    this.declined = [];
    this.showBars(this.at.actions);
  }

  // busy marks the time between a press and its answer, in which only a cancel counts.
  busy(on) {
    for (const button of this.presses) button.setAttribute("aria-disabled", String(on || (this.barred && button.matches(".sign"))));
  }

  // lost says that the service does not answer, until it does again.
  lost(on) {
    const shown = this.at.lost.childElementCount > 0;
    if (on && !shown) this.at.lost.append(el("p", { class: "lost" }, icon("bang"), "Connection lost, trying again…"));
    if (!on && shown) this.at.lost.replaceChildren();
  }

  // problem shows an error of something the person asked for, above a request that goes on.
  problem(error) {
    const told = words.refusal(error);
    this.at.notice.prepend(el("div", { role: "alert" }, notice({ ...told, text: [el("strong", {}, told.heading), ...told.text] }, "notice-error")));
  }

  // refuse shows an error that leaves no request to show, perhaps of a cancel.
  refuse(error, toCancel) {
    const told = toCancel ? words.uncancelled(error) : words.refusal(error);
    this.question = null;
    document.title = `${told.heading} – Signing Service`;
    this.drawn = "";
    this.at.main.dataset.state = "refused";
    this.head(told.heading, "bang");
    this.drop();
    for (const region of ["progress", "actions", "small", "summary"]) this.at[region].replaceChildren();
    this.at.summary.hidden = true;
    this.at.notice.replaceChildren(notice(told, "notice-error"));
    if (told.reload) this.at.actions.append(el("button", { type: "button", class: "button", onclick: () => this.on.reload() }, told.reload));
    else if (history.length > 1) this.at.actions.append(el("button", { type: "button", class: "button", onclick: () => history.back() }, "Go back"));
    this.at.heading.focus();
  }

  mock() {
    if (this.at.banner.querySelector(".mock")) return;
    this.at.banner.hidden = false;
    this.at.banner.firstElementChild.append(el("p", { class: "mock" }, el("strong", { class: "tag" }, "Simulated smartcard"), " No real card signs. The signatures say that they are a mock."));
  }

  announce(text) {
    this.at.announcer.textContent = text;
  }
}

function notice(story, kind) {
  return el("div", { class: `notice ${kind}` },
    ...story.text.map((text) => el("p", {}, text)),
    story.next && el("p", {}, story.next),
    story.reference && el("p", { class: "small" }, "Reference for support: ", el("code", {}, story.reference)));
}

// way is the link back to the client, also where it leads there by itself.
function way(view) {
  const address = webAddress(view.redirectUri);
  if (address === null) return null;
  const text = view.state === "signed" ? `Continue to ${view.client}` : `Return to ${view.client} without signing`;
  return el("p", {}, el("a", { class: "button", href: address, rel: "noreferrer" }, text));
}
