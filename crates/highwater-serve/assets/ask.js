// The API. The token, where one is needed, stays in this page's memory.

let token = null;
export const setToken = (text) => (token = text);
export const hasToken = () => token !== null;

/** An answer that is none: `status` and `kind` tell which, `next` what to run. */
export class Refused extends Error {
  constructor(status, error) {
    super(error?.text ?? `the server answered ${status}`);
    this.status = status;
    this.kind = error?.kind ?? "http";
    this.next = error?.next;
  }
}

const send = async (path, options) => {
  const headers = { ...options.headers };
  if (token !== null) headers.Authorization = `Bearer ${token}`;
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch {
    throw new Refused(0, { kind: "away", text: "the server does not answer" });
  }
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refused(response.status, body.error);
  return body;
};

/** Asks; what is undefined or null is left out of the question. */
export const ask = (what, question = {}) => {
  const words = Object.entries(question).filter(([, value]) => value !== undefined && value !== null && value !== "");
  const query = new URLSearchParams(words).toString();
  return send(`/api/${what}${query ? `?${query}` : ""}`, {});
};

/** Has something done. */
export const order = (what, body) =>
  send(`/api/${what}`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });

/** A state's name in a question. */
export const which = (stream) => (stream ? { stream: stream.name, namespace: stream.namespace } : { global: true });
