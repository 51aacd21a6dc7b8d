// The words about prescriptions. Nothing here touches the document.

const many = (n, one, more) => `${n} ${n === 1 ? one : more}`;

// counts is what a request holds, in numbers.
export const counts = (shown) => [
  many(shown.prescriptions.length, "prescription", "prescriptions"), many(shown.items, "item", "items"), many(shown.patients, "patient", "patients"),
].join(", ");

// limits say what a display is, so that nobody takes it for more.
export const limits = [
  "This is what your signature covers, read from the very bytes that are signed. The service shows it only because their digest is the one in the request.",
  "Letters stand in the order in which they are signed. A character that cannot be seen is shown by its name, such as [U+202E].",
  "Not signed, and so not shown: the nominated pharmacy, the validity period, how long one issue lasts, the date of writing, the type of the prescription, and the short number that patients are given.",
  "Nothing is checked: no doses, no interactions, no duplicates, and not whether a drug’s name and its SNOMED code agree. A mark is a fact of the signed text. No mark means nothing.",
];

// marks are facts of the signed text.
export const marks = {
  in_words: { told: "A quantity is given in words", filter: "With a quantity in words" },
  same_name: { told: "Another patient in this request has the same name", filter: "Two patients with one name" },
  same_number: { told: "This NHS number also stands under another name in this request", filter: "One NHS number under two names" },
  hidden: { told: "A text has characters that cannot be seen; they are shown by their names", filter: "With characters that cannot be seen" },
};

export const mark = (code) => marks[code]?.told ?? code;

// instant is a time that is signed, in UTC as it is signed.
export function instant(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return text;
  return `${new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", year: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23", timeZone: "UTC" }).format(at)} UTC`;
}

// What the person says of prescriptions, and how it is filtered.
export const unseen = "Not looked at yet";
export const wrong = "With something wrong";
export const looked = (n) => (n === 0 ? "None is looked at yet." : `${n} ${n === 1 ? "is" : "are"} looked at.`);

// marked says why nothing can be signed while something is wrong.
export const marked = (n) => `You marked ${many(n, "prescription", "prescriptions")} as wrong. Give the request back, or take the mark off to sign.`;

export const loading = "The prescriptions are being fetched.";

// filtered says why nothing can be signed while a filter hides something.
export const filtered = (hidden) => `The filter hides ${many(hidden, "prescription", "prescriptions")}. Show all of them to sign.`;

// fallback tells that there is no display, and what follows.
export function fallback(view, shown) {
  const which = shown.missing === view.total ? (view.total === 1 ? "The prescription" : "The prescriptions") : `${shown.missing} of the ${view.total} prescriptions`;
  const text = [`${which} cannot be shown: there is no text of which this service can prove that it is what is signed.`];
  if (view.display === "required") {
    return { text: [...text, "This service signs only what it has shown. Nothing was signed."], next: `Look again in a moment. If it does not help, go back to ${view.client}.`, refuses: true };
  }
  return { text: [...text, `You can sign by id and digest, as ${view.client} shows them. Check there what you sign.`], next: null, refuses: false };
}

// failed tells that the display could not be fetched.
export const failed = (view) => ({
  text: ["The prescriptions could not be fetched just now."],
  next: view.display === "required" ? "Look again: this service signs only what it has shown." : `Look again, or check in ${view.client} what you sign.`,
  refuses: view.display === "required",
});
