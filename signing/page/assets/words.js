// Every word that depends on what happened. Nothing here touches the document.

// items counts what is signed: items, or prescriptions once they are shown.
let noun = "item";
export const callThem = (name) => (noun = name);
export const items = (n) => (n === 1 ? `1 ${noun}` : `${n} ${noun}s`);
export const progressed = (view) => `${view.signed} of ${view.total} signed`;

// story tells a view: {heading, text[], next?}. Why something is not signed is told in the service's own words,
// which know more than this page does.
export function story(view) {
  const count = items(view.total);
  if (view.state === "signing") {
    if (view.here) {
      return { heading: `Signing ${count} for ${view.client}`, text: ["Your smartcard is signing. A window on this computer may ask for your PIN; it may be behind this one."] };
    }
    if (view.local) {
      return {
        heading: `Signing ${count} for ${view.client}`,
        text: ["Your smartcard is signing for another tab or window of this browser. Go on there."],
        next: "If you closed it or loaded the page again, wait: in half a minute you can try again here.",
      };
    }
    return { heading: `Signing ${count} for ${view.client}`, text: [view.mock ? "A simulated smartcard is signing." : "Keep your smartcard in the reader until every item is signed."] };
  }
  if (view.late) {
    return {
      heading: view.late === "sent" ? "It was too late to cancel" : "It is too late to cancel",
      text: [`${view.total === 1 ? "The item was" : `All ${count} were`} signed and handed to ${view.client} before ${view.late === "sent" ? "your cancel reached the service" : "you confirmed"}.`],
      next: `${view.client} can use ${view.total === 1 ? "the signature" : "the signatures"}. If it must not, stop it there.`,
    };
  }
  if (view.state === "signed") {
    return { heading: "Signed", text: [`${view.total === 1 ? "The item is" : `All ${count} are`} signed. Taking you back to ${view.client}…`] };
  }
  if (view.state === "opened" && view.signedOut) {
    return {
      heading: "You are signed out",
      text: [`Nobody is signed in here as the person who is to sign, so what ${view.client} asks for is not shown any more. Nothing was signed.`],
      next: "Sign in again to go on.",
    };
  }
  if (view.state === "opened" && !view.reason) {
    return { heading: `Sign ${count} for ${view.client}`, text: [view.mock ? "A simulated smartcard will sign." : "Have your smartcard in the reader."] };
  }
  if (view.reason?.code === "declined") {
    return { heading: view.reason.title, text: [view.reason.text], next: `You marked ${view.declined} of ${items(view.total)}.` };
  }
  const told = view.reason ?? { title: "Nothing was signed", text: "This request has come to its end without a signature." };
  return { heading: told.title, text: [told.text], next: view.state === "opened" ? again(view) : `${view.client} is told that nothing was signed.` };
}

function again(view) {
  if (!view.reason.retry || !view.tries) return null; // what nobody got wrong costs nothing
  return `You can try again ${view.triesLeft === 1 ? "once" : `${view.triesLeft} times`} more.`;
}

// turnedAway tells a sign-in that does not count: {heading, text[], next, again}. The request waits.
export function turnedAway(away) {
  const waits = "The request stays open until it is signed, cancelled or too old.";
  switch (away.reason) {
    case "wrong_user":
      return {
        heading: "This request is for someone else",
        text: [`${away.client} asks one person to sign, and another one has signed in. Nothing was signed.`],
        next: `If you are the person who is asked, sign in as yourself. If not, leave it to them. ${waits}`,
        again: "Sign in as someone else",
      };
    case "insufficient_level":
      return {
        heading: "A stronger sign-in is needed",
        text: ["You are the right person, but your sign-in was not strong enough to sign with. Nothing was signed."],
        next: `Sign in again with your smartcard, or in another way that is as strong. ${waits}`,
        again: "Sign in again",
      };
    case "access_denied":
      return {
        heading: "You have not signed in",
        text: [`${away.client} asks for signatures, and whoever is to sign has to sign in first. Nothing was signed.`],
        next: `Sign in to go on, or cancel the request. ${waits}`,
        again: "Sign in",
      };
  }
  return {
    heading: "The sign-in did not work",
    text: ["What came back from the sign-in could not be used, so nobody is signed in. Nothing was signed."],
    next: `Try again. If it happens again, tell your service desk. ${waits}`,
    again: "Sign in again",
    reference: away.requestId,
  };
}

// strength tells how strong a sign-in was, and has to be.
export function strength(away) {
  const was = away.level ? `Level ${away.level}` : "Of no level";
  return `${was}; level ${away.least} is needed`;
}

// uncancellable says, before a cancel is confirmed, what it will not undo.
export function uncancellable(view) {
  if (view.state !== "signing") return [];
  const told = [`${view.total === 1 ? "What your smartcard signs now is" : "The items that are signed already are"} thrown away. Once ${view.total === 1 ? "the item is" : "all items are"} signed, they are handed to ${view.client} and can no longer be cancelled.`];
  if (view.here) told.push("If a window asks for your PIN, close it yourself: this page cannot.");
  return told;
}

// question asks whether to end the request, perhaps because something is wrong with so many of its items.
export function question(view, declined) {
  if (declined === 0) return { ask: `Cancel this request? Nothing will be signed for ${view.client}.`, yes: "Yes, cancel the request" };
  const which = view.total === 1 ? "that you found something wrong with it" : `which ${declined} of ${items(view.total)} you marked`;
  return { ask: `Give this request back? Nothing will be signed, and ${view.client} learns ${which}.`, yes: "Yes, give it back unsigned" };
}

// cancelling tells that the service has yet to answer a cancel, or a request that is given back.
export function cancelling(view, declined) {
  return {
    heading: declined === 0 ? "Cancelling…" : "Giving the request back…",
    text: [`The service is being told to stop. Keep this page open until it says that the request is ${declined === 0 ? "cancelled" : "given back"}.`],
    next: view.here ? "If a window asks for your PIN, close it." : null,
  };
}

// asking tells that the browser's own question comes.
export function asking() {
  return {
    text: ["Your browser is about to ask whether this site may reach apps on this device. Choose Allow: your smartcard is read by such an app."],
  };
}

const troubles = {
  missing: {
    heading: "The smartcard software is not running",
    text: ["NHS Credential Management was not found on this computer. Nothing was signed."],
    next: "Start it (its icon belongs beside the clock), put your smartcard into the reader and try again. If it is not installed, ask your service desk.",
  },
  permission_denied: {
    heading: "Your browser does not let this page reach your smartcard",
    text: ["It was told not to let this site reach apps on this device, and your smartcard is read by such an app. Nothing was signed."],
    next: "Click the symbol left of the address, allow “Apps on device” (or “Local network access”) for this site, and try again. "
      + "If you cannot, your service desk can allow it for everybody by the policy LoopbackNetworkAllowedForUrls (LocalNetworkAccessAllowedForUrls before version 146).",
  },
  permission_open: {
    heading: "Your browser waits for an answer",
    text: ["It asks whether this site may reach apps on this device, and your smartcard is read by such an app. Nothing was signed."],
    next: "Try again, and choose Allow when it asks. If it does not ask, your service desk can allow it by the policy LoopbackNetworkAllowedForUrls.",
  },
  origin_refused: {
    heading: "The smartcard software does not accept this page",
    text: ["It is running on this computer, and does not answer pages of this site. Nothing was signed."],
    next: "Tell your service desk: this site’s address has to be added to the list of sites that the smartcard software accepts.",
  },
};

// trouble tells why the agent on this machine was not reached: {heading, text[], next}.
export const trouble = (kind) => troubles[kind] ?? troubles.missing;

// title is the tab's: what matters first, since a tab shows little of it.
export function title(view) {
  if (view.state === "signing") return `${view.here || view.local ? "Signing" : progressed(view)} – Signing Service`;
  const { heading } = story(view);
  return `${view.reason && view.state === "opened" && !view.signedOut ? "Not signed: " : ""}${heading} – Signing Service`;
}

// failedTitle is the tab's where the agent on this machine is not reached.
export const failedTitle = (told) => `Not signed: ${told.heading} – Signing Service`;

// short is what a session is called on the telephone. The gateway's log and caddy countersign why find it by that.
export const short = (id) => String(id).replaceAll("-", "").slice(0, 12);

// reference is what the person tells the service desk, where something went wrong.
export function reference(view) {
  const wrong = view.state === "failed" || view.state === "expired" || (view.state === "opened" && view.reason && !view.signedOut);
  return wrong ? short(view.id) : null;
}

const startAgain = "Go back to the system that sent you here and start again.";

const refusals = {
  not_found: {
    heading: "This signing request cannot be found",
    text: ["The link may be incomplete, or the request may have ended some time ago."],
    next: startAgain,
  },
  opened_elsewhere: {
    heading: "This request is open in another browser",
    text: ["A request can be signed in one browser only, and this one was opened somewhere else first."],
    next: "Carry on there. If it was not you who opened it, do not sign: go back to the system that sent you here, start again, and tell your service desk.",
  },
  expired: {
    heading: "The time to sign has run out",
    text: ["This request was not signed in time. Nothing was signed."],
    next: startAgain,
  },
  mock: {
    heading: "Signing with a simulated smartcard is not offered here",
    text: ["The link asks for a simulated smartcard (mock=true), and this service does not have one. Nothing was signed."],
    next: "Go back to the system that sent you here. Its supplier has to take mock=true out of the link.",
  },
  csrf: {
    heading: "This page has to be loaded again",
    text: ["It has been open for too long, or this browser does not keep the cookie that the page needs. Nothing was signed."],
    next: "Reload the page. If you see this again, allow cookies for this site.",
    reload: "Reload the page",
  },
  origin: {
    heading: "This page has to be loaded again",
    text: ["It was reached at another address than the service's own, so the service does not listen to it. Nothing was signed."],
    next: "Reload the page. If you see this again, go back to the system that sent you here and start again.",
    reload: "Reload the page",
  },
  unavailable: {
    heading: "Signing is not possible at the moment",
    text: ["The service cannot take requests right now. Nothing is lost: your request is still there."],
    next: "Wait a moment and try again.",
    reload: "Try again",
  },
};

// refusal tells an error that leaves nothing to draw: {heading, text[], next, reload?, reference?}.
export function refusal(error) {
  const known = refusals[error.code] ?? (error.passing ? refusals.unavailable : null);
  const told = known ?? {
    heading: "Something went wrong",
    text: [error.message || "The service answered in a way that this page does not understand."],
    next: "Go back to the system that sent you here and try again. If it happens again, tell your service desk.",
  };
  return { ...told, reference: error.requestId };
}

// uncancelled tells a cancel that the service refused, so that nobody takes the request for cancelled.
export function uncancelled(error) {
  const told = refusal(error);
  return {
    ...told,
    heading: "The service did not take your cancel",
    text: ["The request may still be signed if your smartcard is signing now. Take it out of the reader, and tell the system that sent you here that you wanted to cancel."],
    next: told.reload ? told.next : null,
  };
}

// time says until when, with the day where it is not today.
export function time(instant, now = new Date()) {
  const options = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (instant.toDateString() !== now.toDateString()) Object.assign(options, { day: "numeric", month: "long" });
  return new Intl.DateTimeFormat("en-GB", options).format(instant);
}
