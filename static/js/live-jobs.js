// <live-jobs data-stream="URL"> around a list of jobs (what has data-set): numbers and bars as they change, the list itself when another job stands in it.
// Without a stream it asks for the list every two seconds, and only while something runs. A page that nobody sees asks for nothing.

const POLL = 2000;
const MOVES = 4000; // how often a list of what waits or runs is asked for while it moves

class LiveJobs extends HTMLElement {
  #stream = null;
  #asked = 0;
  #timer = 0;

  connectedCallback() {
    document.addEventListener("visibilitychange", this.#look);
    this.#timer = setInterval(this.#poll, POLL);
    this.#look();
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#look);
    clearInterval(this.#timer);
    this.#close();
  }

  #look = () => (document.hidden ? this.#close() : this.#open());

  #open() {
    if (this.#stream || !window.EventSource) return;
    this.#stream = new EventSource(this.dataset.stream);
    this.#stream.addEventListener("now", (event) => this.#show(event.data));
    // Refused (too many readers, signed out) it is closed for good, and polling takes over; a lost line is opened again by itself.
    this.#stream.addEventListener("error", () => this.#stream?.readyState === EventSource.CLOSED && this.#close());
  }

  #close() {
    this.#stream?.close();
    this.#stream = null;
  }

  #show(text) {
    const live = new DOMParser().parseFromString(text, "text/html").body.firstElementChild;
    for (const part of live.querySelectorAll("[id]")) {
      const shown = document.getElementById(part.id);
      if (shown && shown.outerHTML !== part.outerHTML) shown.replaceWith(part);
    }
    const list = this.#list?.dataset ?? {};
    const moves = "moves" in list && "runs" in live.dataset && performance.now() - this.#asked > MOVES;
    if (list.set !== live.dataset.set || moves) this.#ask();
  }

  #poll = () => {
    if (!this.#stream && !document.hidden && this.#list?.hasAttribute("data-runs")) this.#ask();
  };

  get #list() {
    return this.querySelector("[data-set]");
  }

  /** Not while somebody reads what a swap would shut, or has the keys on a button of it. */
  #ask() {
    const busy = this.#list?.querySelector("details[open]") || this.#list?.contains(document.activeElement);
    if (!this.#list || busy) return false;
    this.#asked = performance.now();
    this.#list.dispatchEvent(new CustomEvent("jobs-changed"));
    return true;
  }
}

customElements.define("live-jobs", LiveJobs);
