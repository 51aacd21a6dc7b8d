// The list of what is signed: each item with its id, its digest and how far it is, in words. It is made once,
// closed, and only its marks change after that, so it stays open and where it was scrolled to.

import { el, icon, visible } from "./dom.js";
import * as words from "./words.js";

export class Items {
  constructor(view) {
    this.marks = "";
    this.statuses = view.items.map(() => el("span", { class: "status" }));
    const rows = view.items.map((item, i) =>
      el("li", { class: "item" }, el("div", { class: "row" },
        el("div", {},
          el("div", {}, el("span", { class: "unseen" }, "Id "), el("code", { class: "id" }, el("bdi", { dir: "ltr" }, ...visible(item.id)))),
          el("div", { class: "digest" }, "Digest ", el("code", {}, item.digest))),
        this.statuses[i])));
    this.element = el("details", { class: "details" },
      el("summary", {}, el("span", {}, `${view.total === 1 ? "The item and its digest" : `The ${words.items(view.total)} and their digests`}`)),
      el("p", { class: "small" }, "A digest is a fingerprint of what is signed. It comes from the request itself, so you can compare it with what your system shows."),
      el("div", { class: "scroll", role: "region", "aria-label": "Items", tabindex: "0" },
        el("ol", { class: "items" }, ...rows)));
    this.mark(view.marks);
  }

  // mark takes one character an item: "s" is signed, anything else is waiting.
  mark(marks = "") {
    this.statuses.forEach((status, i) => {
      const signed = marks[i] === "s";
      if (status.childNodes.length > 0 && signed === (this.marks[i] === "s")) return;
      status.classList.toggle("status-signed", signed);
      status.replaceChildren(...(signed ? [icon("tick"), "Signed"] : ["Waiting"]));
    });
    this.marks = marks;
  }
}
