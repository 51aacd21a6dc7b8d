// The prescriptions behind what is signed. What is shown is the signed text, letter by letter: nothing is cut off or
// translated, and a character that cannot be seen stands there by its name. The cards are made once; after that a filter
// hides some of them and nothing else changes.

import { el, icon } from "./dom.js";
import * as words from "./prescriptionwords.js";

// Values of the filter that are no marks.
const unseen = "unseen";
const wrong = "wrong";

const many = 50; // cards from which on those out of sight are not laid out

export class Prescriptions {
  // on is told of a filter: how many prescriptions it hides; of a look: the id, and whether the person has looked at it; and
  // of those that something is wrong with: their ids.
  constructor(shown, on) {
    this.on = on;
    this.ids = shown.prescriptions.map((of) => of.id);
    this.looked = shown.prescriptions.map((of) => Boolean(of.looked));
    this.wrong = shown.prescriptions.map(() => false);
    this.cards = shown.prescriptions.map((of, i) => card(of, i, shown.prescriptions.length));
    this.texts = this.cards.map((element) => plain(element.textContent));
    this.cards.forEach((element, i) => element.append(this.checks(i)));
    this.marks = shown.prescriptions.map((of) => of.marks);
    this.found = el("p", { class: "rx-found", role: "status" });
    this.element = el("section", { class: `rx${shown.print ? " rx-print" : ""}${this.cards.length > many ? " rx-many" : ""}`, "aria-labelledby": "rx-heading" },
      el("h2", { id: "rx-heading", class: "rx-heading", tabindex: "-1" }, words.counts(shown)),
      el("p", { class: "rx-code-line" }, "Batch code ", el("code", { class: "rx-batch" }, shown.code), " – your system can show the same code for this request."),
      el("details", { class: "details" },
        el("summary", {}, el("span", {}, "What is shown here, and what is not")),
        ...words.limits.map((text) => el("p", { class: "small" }, text))),
      shown.prescriptions.length > 1 && this.tools(shown),
      el("ol", { class: "rx-list" }, ...this.cards.map((element) => el("li", {}, element))),
      el("p", { class: "rx-paper", "aria-hidden": "true" }, "Not a prescription"));
  }

  // checks are what the person says of a prescription.
  checks(i) {
    const about = () => el("span", { class: "unseen" }, ` (prescription ${i + 1})`);
    const check = (told, checked, onchange) => el("label", { class: "rx-check" }, el("input", { type: "checkbox", checked, onchange }), el("span", {}, told, about()));
    return el("div", { class: "rx-checks" },
      check("Looked at", this.looked[i], (event) => {
        this.looked[i] = event.target.checked;
        this.count(this.hidden);
        this.on.look(this.ids[i], this.looked[i]);
      }),
      check("Something is wrong with this one", false, (event) => {
        this.wrong[i] = event.target.checked;
        this.cards[i].classList.toggle("rx-wrong", this.wrong[i]);
        this.on.wrong(this.ids.filter((_, k) => this.wrong[k]));
      }));
  }

  // tools are the search and the filter.
  tools(shown) {
    const search = el("input", { id: "rx-search", class: "rx-input", type: "search", autocomplete: "off", spellcheck: "false", oninput: () => apply() });
    const present = Object.entries(words.marks).filter(([mark]) => this.marks.some((of) => of.includes(mark)));
    const filter = el("select", { id: "rx-filter", class: "rx-input", onchange: () => apply() },
      el("option", { value: "" }, "All prescriptions"),
      el("option", { value: unseen }, words.unseen),
      el("option", { value: wrong }, words.wrong),
      ...present.map(([mark, told]) => el("option", { value: mark }, told.filter)));
    const apply = () => this.filter(search.value, filter.value);
    const all = el("button", { type: "button", class: "rx-all", hidden: true, onclick: () => {
      search.value = filter.value = "";
      apply();
      search.focus();
    } }, "Show all");
    this.all = all;
    this.total = shown.prescriptions.length;
    this.count(0);
    return el("div", { class: "rx-tools", role: "search", "aria-label": "Prescriptions" },
      el("div", {}, el("label", { for: "rx-search" }, "Search"), search),
      el("div", {}, el("label", { for: "rx-filter" }, "Show"), filter),
      el("div", { class: "rx-result" }, this.found, all));
  }

  filter(text, mark) {
    const parts = plain(text).split(" ").filter(Boolean);
    let hidden = 0;
    this.cards.forEach((element, i) => {
      const shows = parts.every((part) => this.texts[i].includes(part)) && this.has(i, mark);
      element.parentElement.hidden = !shows;
      if (!shows) hidden++;
    });
    this.count(hidden);
    this.on.filter(hidden);
  }

  has(i, mark) {
    if (mark === unseen) return !this.looked[i];
    if (mark === wrong) return this.wrong[i];
    return mark === "" || this.marks[i].includes(mark);
  }

  count(hidden) {
    this.hidden = hidden;
    if (!this.all) return; // a single one has no tools
    const shown = hidden === 0 ? `All ${this.total} are shown.` : `${this.total - hidden} of ${this.total} are shown.`;
    this.found.textContent = `${shown} ${words.looked(this.looked.filter(Boolean).length)}`;
    this.all.hidden = hidden === 0;
  }
}

// plain is a text as it is searched: without case, accents, and the gaps in NHS numbers.
function plain(text) {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase().replace(/(\d) (?=\d)/g, "$1").replace(/\s+/g, " ").trim();
}

// signed shows a signed text. It is isolated, so that it cannot reorder what stands beside it, and its letters stand in
// the order in which they are signed.
function signed(text, attributes = {}) {
  const parts = Array.isArray(text) ? text : [String(text ?? "")];
  return el("bdo", { dir: "ltr", ...attributes, class: `rx-text ${attributes.class ?? ""}`.trim() }, ...parts.map((part) =>
    (typeof part === "string" ? part : el("span", { class: "rx-hidden" }, `[${part.hidden}]`))));
}

const has = (text) => text !== undefined && text !== "";

function row(name, ...values) {
  const shown = values.filter(Boolean);
  return shown.length > 0 && el("div", {}, el("dt", {}, name), ...shown.map((value) => el("dd", {}, value)));
}

const each = (texts) => (texts ?? []).map((text) => signed(text));

function card(of, i, total) {
  const id = `rx-${i + 1}`;
  return el("article", { class: "rx-card", "aria-labelledby": id },
    el("header", { class: "rx-patient" },
      total > 1 && el("p", { class: "rx-place" }, `${i + 1} of ${total}`),
      el("h3", { id, class: "rx-name" }, signed(of.patient.heading)),
      el("dl", { class: "rx-facts" },
        row("Born", signed(of.patient.born)), row("Gender", signed(of.patient.gender)), row("NHS No.", signed(of.patient.nhsNumber, { class: "rx-number" })))),
    of.marks.length > 0 && el("ul", { class: "rx-marks" }, ...of.marks.map((mark) => el("li", {}, icon("bang"), words.mark(mark)))),
    el("ol", { class: "rx-items" }, ...of.items.map((one) => el("li", {}, item(one)))),
    el("p", { class: "rx-by" }, "Prescriber: ", has(of.prescriber.name) ? signed(of.prescriber.name) : "no name is signed", ", ", signed(of.prescriber.organisation)),
    el("details", { class: "details rx-more" },
      el("summary", {}, el("span", {}, "Everything else that is signed", el("span", { class: "unseen" }, ` for prescription ${i + 1}`))),
      more(of)));
}

function item(of) {
  return el("div", { class: "rx-item" },
    el("p", { class: "rx-drug" }, has(of.drug) ? signed(of.drug) : "No name is signed", " ", el("span", { class: "rx-snomed" }, "SNOMED ", signed(of.code))),
    el("dl", { class: "rx-lines" },
      row("Dose", signed(of.dose, { class: "rx-dose" })),
      row("Quantity", el("span", {}, signed(of.quantity, { class: "rx-number" }), has(of.unit) && " ", has(of.unit) && signed(of.unit))),
      row("In words", has(of.inWords) && signed(of.inWords)),
      row("May be issued", has(of.repeats) && el("span", {}, signed(of.repeats), String(of.repeats) === "1" ? " time" : " times")),
      row("Endorsements", ...each(of.endorsements)),
      row("Instructions", has(of.instructions) && signed(of.instructions)),
      row("Other medication", ...each(of.medications)),
      row("To the patient", ...each(of.toPatient))));
}

function more(of) {
  const { patient, prescriber } = of;
  return el("dl", { class: "rx-lines rx-rest" },
    row("Patient’s names", ...each(patient.names)),
    row("Addresses", ...each(patient.addresses)),
    row("Telephone", ...each(patient.telecoms)),
    row("Practice", signed(patient.practice)),
    row("Professional code", signed(prescriber.code)),
    row("Job role", signed(prescriber.jobRole)),
    row("Role profile", has(prescriber.roleProfile) && signed(prescriber.roleProfile)),
    row("Prescriber’s telephone", ...each(prescriber.telecoms)),
    row("Organisation", signed(prescriber.organisation), signed(prescriber.ods), has(prescriber.address) && signed(prescriber.address), has(prescriber.telecom) && signed(prescriber.telecom)),
    row("Part of", has(prescriber.parent) && signed(prescriber.parent), signed(prescriber.parentOds)),
    row("Units", ...of.items.filter((one) => has(one.unitCode)).map((one) => signed(one.unitCode))),
    row("Item numbers", ...of.items.map((one) => signed(one.number))),
    row("Prescription", signed(of.number)),
    row("Time that is signed", el("time", { datetime: of.signed }, words.instant(of.signed))),
    row("Id of the item", el("code", {}, of.id)),
    row("Digest", el("code", {}, of.digest)));
}
