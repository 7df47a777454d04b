// <copy-text>: the button inside copies what the <code> before it says; [data-said] tells that it did.
class CopyText extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").addEventListener("click", () => this.#copy());
  }

  async #copy() {
    const said = this.querySelector("[data-said]");
    try {
      await navigator.clipboard.writeText(this.querySelector("code").textContent.trim());
      said.textContent = "Copied";
    } catch {
      said.textContent = "Select it to copy it"; // the browser keeps the clipboard to itself
    }
  }
}

customElements.define("copy-text", CopyText);
