// Files wait for their owner to come back, and never go out in somebody else's name.
import { accountOfPage, look, tokenOfPage } from "./session.js";

export class UploadAccount {
  #asking = null;

  constructor(page, token) {
    Object.assign(this, { page, token, id: accountOfPage() });
  }

  // "renewed" (another token than `used` is there now), "same", "out", "other" (somebody else), "unknown" (no answer).
  async look(used) {
    if (used === this.token && this.token !== tokenOfPage()) this.token = tokenOfPage(); // by another part of the page
    if (used !== this.token) return "renewed";
    return (this.#asking ??= this.#ask().finally(() => (this.#asking = null)));
  }

  async #ask() {
    const found = await look(this.page);
    this.token = tokenOfPage();
    return found;
  }
}
