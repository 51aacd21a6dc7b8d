// Making elements. Text goes in as text nodes only: nothing in this page turns a string into markup, and the
// page's policy (Trusted Types) would refuse it.

// el("p", {class: "small"}, "text", child, null) makes an element. A function under "on…" is a listener; true
// sets an attribute without a value; null, undefined and false leave it out, as they do among the children.
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// icon draws a sign beside words that say the same, so it is hidden from screen readers.
const shapes = {
  tick: "M4 13l5 5L20 6",
  bang: "M12 2a10 10 0 1 0 .01 0M12 7v6M12 17v.2",
};

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", class: `icon icon-${name}`, "aria-hidden": "true", focusable: "false" })) {
    svg.setAttribute(key, value);
  }
  path.setAttribute("d", shapes[name]);
  svg.append(path);
  return svg;
}

// digits shows a long number in groups of four. The gaps are drawn by the stylesheet, so what a screen reader
// says and what is copied stays exact.
export function digits(text) {
  if (!/^\d{6,}$/.test(text)) return el("bdi", {}, ...visible(text));
  return el("span", { class: "digits" }, ...text.match(/.{1,4}/g).map((group) => el("span", {}, group)));
}

// unseen are characters that have no shape of their own, or that of a plain space without being one.
const unseen = /([\p{C}\p{Zl}\p{Zp}\u00a0\u034f\u115f\u1160\u1680\u2000-\u200a\u202f\u205f\u3000\u3164\uffa0])/u;

// visible parts a text so that nothing in it stays unseen or moves its neighbours: such a character is shown by its number.
export function visible(text) {
  return String(text ?? "").split(unseen).filter(Boolean).map((part) => {
    if (!unseen.test(part)) return part;
    return el("span", { class: "rx-hidden" }, `[U+${part.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}]`);
  });
}

// webAddress gives an address back if it is one that a browser may be sent to, else null.
export function webAddress(text) {
  try {
    return ["https:", "http:"].includes(new URL(text).protocol) ? text : null;
  } catch {
    return null;
  }
}
