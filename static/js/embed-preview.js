// A new key's link and snippet follow the switches, and a frame shows what they do. Without this: the plain link and snippet.
const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll('"', "&quot;");

class EmbedPreview extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", this.renew);
    this.addEventListener("click", this.copy);
  }

  disconnectedCallback() {
    this.removeEventListener("change", this.renew);
    this.removeEventListener("click", this.copy);
    clearTimeout(this.said);
  }

  chosen(name) {
    return this.querySelector(`[name="${name}"]:checked`)?.value;
  }

  /** Path and query as the switches say; `id` names the entity where the key is one for a whole type. */
  path(id) {
    const isCard = this.chosen("layout") === "card";
    const captions = this.querySelector('[name="captions"]');
    const query = new URLSearchParams();
    if (id) query.set("id", id);
    if (!isCard && this.chosen("layout") !== "grid") query.set("layout", this.chosen("layout"));
    if (this.chosen("theme") !== "auto") query.set("theme", this.chosen("theme"));
    if (!isCard && captions && !captions.checked) query.set("captions", "0");
    const path = isCard ? this.dataset.path.replace("/embed/", "/cards/") : this.dataset.path;
    return query.size ? `${path}?${query}` : path;
  }

  renew() {
    const [url, snippet, frame] = ["#made-url", "#made-snippet", "iframe"].map((name) => this.querySelector(name));
    const base = url.defaultValue.slice(0, url.defaultValue.indexOf(this.dataset.path));
    url.value = base + this.path("whole" in this.dataset && "ID");
    snippet.value = snippet.defaultValue.replace(/src="[^"]*"/, () => `src="${escaped(url.value)}"`);
    if (!frame) return;
    // a new frame: another address in the old one would be a step of the window's history, with the key in it
    const fresh = frame.cloneNode();
    fresh.src = this.path(this.dataset.example);
    frame.replaceWith(fresh);
  }

  async copy(event) {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const field = this.querySelector(`#${button.dataset.copy}`);
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      field.select(); // no clipboard without https, or not allowed: the old way
      document.execCommand("copy");
    }
    const label = button.querySelector("span");
    button.dataset.words ??= label.textContent;
    label.textContent = "Copied";
    this.querySelector("[role=status]").textContent = "Copied";
    clearTimeout(this.said);
    this.said = setTimeout(() => {
      for (const each of this.querySelectorAll("[data-words] span")) each.textContent = each.parentElement.dataset.words;
      this.querySelector("[role=status]").textContent = "";
    }, 2000);
  }
}

customElements.define("embed-preview", EmbedPreview);
