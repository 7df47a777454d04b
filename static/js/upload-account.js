// Who is signed in, as the server sees it now. A page that stood open may outlive its session: files wait for their
// owner to come back, and never go out in somebody else's name.

const PATIENCE = 10_000; // ms

export class UploadAccount {
  #asking = null;

  constructor(page, token) {
    Object.assign(this, { page, token, id: document.body.dataset.account ?? "" });
  }

  // "renewed" (another token than `used` is there now), "same", "out", "other" (somebody else), "unknown" (no answer).
  async look(used) {
    if (used !== this.token) return "renewed";
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = null)));
  }

  async #ask() {
    try {
      const signal = AbortSignal.timeout?.(PATIENCE);
      const answer = await fetch(this.page, { redirect: "manual", headers: { Accept: "text/html" }, signal });
      if (answer.type === "opaqueredirect") return "out";
      if (!answer.ok) return "unknown";
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (page.body.dataset.account !== this.id) return page.body.dataset.account ? "other" : "out";
      return this.#take(page.querySelector("[name=csrf_token]")?.value);
    } catch {
      return "unknown";
    }
  }

  // The new session's token serves the whole page.
  #take(token) {
    if (!token || token === this.token) return "same";
    this.token = token;
    for (const field of document.querySelectorAll("input[name=csrf_token]")) field.value = token;
    document.body.setAttribute("hx-headers:inherited", JSON.stringify({ "X-CSRF-Token": token }));
    return "renewed";
  }
}
