// Changing states by hand: what it means first, then who and why, then it is done.

import { ask, hasToken, order, setToken, which } from "./ask.js";
import { h } from "./build.js";
import { bytes, count, named, plural } from "./words.js";

const remembered = { by: "" };

/** A dialog that asks for the token if need be, shows what `plan` says, and does it. */
const dialog = (heading, fields, plan, done) => {
  const told = h("div", { class: "told", role: "status", tabindex: "0", hidden: true });
  const token = h("input", { type: "password", autocomplete: "off", required: true });
  const by = h("input", { value: remembered.by, required: true, autocomplete: "name" });
  const reason = h("input", { required: true, autocomplete: "off" });
  const act = h("button", { class: "main", type: "submit" }, "What would it mean?");
  let expected = null;
  const tell = (content, wrong) => {
    told.hidden = false;
    told.className = wrong ? "told wrong" : "told";
    told.replaceChildren(...[content].flat(9).filter(Boolean));
  };
  const changed = () => {
    expected = null;
    act.textContent = "What would it mean?";
  };
  const submit = async (event) => {
    event.preventDefault();
    if (!hasToken()) setToken(token.value);
    remembered.by = by.value;
    act.disabled = true;
    try {
      const answer = await plan({ by: by.value, reason: reason.value, dry_run: expected === null, expected });
      if (answer.done) {
        box.close();
        await done?.();
      } else if (expected === null && !answer.nothing) {
        tell(answer.text);
        expected = answer.expected;
        act.textContent = "Do it";
      } else {
        tell(answer.nothing ?? answer.text);
      }
    } catch (error) {
      if (error.kind === "token") setToken(null);
      askToken.hidden = hasToken();
      token.required = !hasToken();
      tell(error.message, true);
      changed();
    }
    act.disabled = false;
  };
  const askToken = h("label", { hidden: hasToken() }, "The token that the server was started with", token);
  token.required = !hasToken();
  const form = h("form", { onsubmit: submit, oninput: changed },
    h("h2", {}, heading), fields, askToken, h("label", {}, "Who you are; it is kept in the log", by), h("label", {}, "Why; it is kept in the log", reason), told,
    h("div", { class: "bar" }, h("button", { type: "button", onclick: () => box.close() }, "Cancel"), act));
  const box = h("dialog", { "aria-label": heading, onclose: () => box.remove() }, form);
  document.body.append(box);
  box.showModal();
};

const lines = (all, line) => h("ul", {}, all.slice(0, 20).map((one) => h("li", {}, line(one))), all.length > 20 && h("li", {}, `and ${count(all.length - 20)} more`));

/** Whether a destination will hold twice what the source sends again. */
const repeated = (one) => {
  const keyless = one.streams.slice(0, 10).map(named).join(", ") + (one.streams.length > 10 ? ` and ${count(one.streams.length - 10)} more` : "");
  const without = keyless && `; there is none of ${keyless}, which it will hold twice`;
  switch (one.on_repeat) {
    case "appends": return `${one.consumer} appends: it will hold it twice`;
    case "by_key": return `${one.consumer} writes by key: it will hold each row once${without}`;
    case "versions": return `${one.consumer} keeps history: it will hold another version of each row with a key${without}`;
    default: return `how ${one.consumer} writes is not known here: by key it will hold each row once, otherwise twice${without}`;
  }
};

export const rewindTo = (to, stream, done) => {
  const plan = async (how) => {
    const found = await order("rewind", { to, ...(stream ? which(stream) : {}), ...how });
    if (found.done) return { done: true };
    if (found.states.length === 0) return { nothing: `The states are as they were at checkpoint ${count(to)}: nothing to do.` };
    const text = [
      h("strong", {}, `${plural(found.states.length, "state")} change:`),
      lines(found.states, (one) => `${named(one.stream)}: ${one.then === null ? "cleared, it was not set then" : `as checkpoint ${count(one.then)} has set it`}`),
      found.again.length > 0 && [h("strong", {}, "The source reads again:"), lines(found.again, (one) => `${named(one.stream)}: ${plural(one.records, "record")} (${bytes(one.bytes)})`)],
      found.twice.length > 0 && [h("strong", {}, "What destinations make of that:"), lines(found.twice, repeated)],
      found.repeats.length > 0 && [h("strong", {}, "Consumers get again:"), lines(found.repeats, (one) => `${one.consumer}: ${plural(one.records, "record")} that it has`)],
    ];
    return { text, expected: found.end.sequence };
  };
  dialog(`Rewind to checkpoint ${count(to)}`, h("p", { class: "quiet small" }, "The states of that checkpoint become a new one. Nothing is erased."), plan, done);
};

const setState = (heading, stream, field, text, done) => {
  const plan = async (how) => {
    const found = await order("state", { ...which(stream), text: text(), ...how });
    if (found.done) return { done: true };
    if (found.changes.length === 0) return { nothing: "Nothing changes." };
    return { text: [h("strong", {}, "This changes:"), lines(found.lines, (one) => one)], expected: found.end };
  };
  dialog(heading, field, plan, done);
};

export const editState = (stream, now, done) => {
  const area = h("textarea", { spellcheck: "false", "aria-label": "The state, as JSON" }, now);
  setState(`Edit ${named(stream)}`, stream, h("label", {}, "The state, as JSON", area), () => area.value, done);
};

export const clearState = (stream, done) =>
  setState(`Clear ${named(stream)}`, stream, h("p", { class: "quiet small" }, "Its source begins anew. Records stay as they are."), () => null, done);

/** Asks for the token when even reading needs it. */
export const unlock = (done) => {
  const token = h("input", { type: "password", autocomplete: "off", required: true });
  const box = h("dialog", { "aria-label": "The token" }, h("form", {
    onsubmit: async (event) => {
      event.preventDefault();
      setToken(token.value);
      const works = await ask("overview").then(() => true, () => false);
      if (!works) return setToken(null);
      box.close();
      box.remove();
      done();
    },
  }, h("h2", {}, "This server asks for its token"), h("label", {}, "The token", token), h("div", { class: "bar" }, h("button", { class: "main", type: "submit" }, "Open"))));
  box.addEventListener("cancel", (event) => event.preventDefault());
  document.body.append(box);
  box.showModal();
};
