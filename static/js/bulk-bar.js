// <bulk-bar> around the form of all that is done to chosen pictures: says how many they are, opens its dialogs, sends only what the
// action needs, and shows in the open dialog what was refused. Without script the same form goes out plainly.
import { say } from "./say.js";
import { changedTexts, fillTexts, forgetTexts } from "./describe-many.js";

const FIELDS = { tag: ["tags"], move: ["to", "allow_duplicate"], describe: ["alt_text", "decorative", "only_missing"] };

class BulkBar extends HTMLElement {
  connectedCallback() {
    this.ending = new AbortController();
    const on = (target, name, act, capture = false) =>
      target.addEventListener(name, act, { signal: this.ending.signal, capture });
    on(document, "gallery:chosen", () => this.#show(true));
    on(document, "click", (event) => event.target.closest("[data-act=describe-unsaid]") && this.#describeUnsaid());
    on(this, "change", (event) => event.target.name === "all" && this.#chooseAll(event.target.checked));
    on(this, "click", (event) => this.#opens(event.target.closest("[command=show-modal]")?.getAttribute("commandfor")), true);
    on(this, "keydown", (event) => this.#key(event));
    on(this.form, "formdata", (event) => this.#prune(event.formData));
    on(document, "submit", (event) => event.submitter?.matches("[data-plain]") && event.stopPropagation(), true); // not htmx's
    on(document, "htmx:after:request", (event) => this.#answered(event.detail.ctx));
    on(document, "htmx:after:swap", () => this.#show(false));
    this.#show(false);
  }

  disconnectedCallback() {
    this.ending.abort();
  }

  get form() {
    return document.getElementById("gallery-batch");
  }

  get gallery() {
    return document.querySelector("sortable-gallery");
  }

  get all() {
    return this.querySelector("[name=all]");
  }

  get dialog() {
    return this.querySelector("dialog[open]");
  }

  #show(isSaid) {
    const { count } = this.gallery.selection ?? { count: 0 };
    const shown = this.gallery.cards?.length ?? 0;
    const { total } = this.gallery.part ?? { total: 0 };
    if (count < shown || count === 0) this.all.checked = false;
    const meant = this.all.checked ? total : count;
    this.querySelector("[data-part=count]").textContent = `${meant.toLocaleString("en")} selected`;
    this.querySelector("[data-part=all]").textContent = total > 1000 ? "All" : `All ${total}`;
    this.all.closest("label").hidden = meant >= total;
    for (const each of this.querySelectorAll("[data-part=meant]"))
      each.textContent = meant === 1 ? "1 picture" : `${meant.toLocaleString("en")} pictures`;
    if (isSaid) say(meant ? `${meant} selected` : "Nothing selected");
  }

  // What is all on the page goes by its ids: what somebody adds in this moment is not meant.
  #chooseAll(isChosen) {
    if (!isChosen) return this.gallery.selection.clear();
    const { total } = this.gallery.part;
    this.gallery.selection.chooseAll();
    this.all.checked = this.gallery.cards.length < total;
    this.#show(true);
  }

  #describeUnsaid() {
    this.gallery.selection.choose(this.gallery.cards.filter((card) => "unsaid" in card.dataset));
    this.querySelector("[data-many=edit]").click();
    this.isForUnsaid = true; // nobody has chosen them by hand: afterwards none is
  }

  #opens(id) {
    const dialog = id && document.getElementById(id);
    if (dialog) this.isForUnsaid = false;
    dialog?.querySelector("[data-part=refused]").replaceChildren();
    if (id === "batch-describe") fillTexts(dialog, this.gallery.cards.filter((card) => this.gallery.selection.has(card)));
  }

  // Enter in a field does what the dialog is for; in a text that has lines, only with Ctrl; in a search, once what it found is chosen.
  #key(event) {
    const isSend = event.key === "Enter" && event.target.matches("input");
    const isSendAll = event.key === "Enter" && (event.ctrlKey || event.metaKey);
    if (event.defaultPrevented || !this.dialog || !(isSend || isSendAll)) return;
    event.preventDefault();
    if (event.target.type !== "search" || this.#isFound(event.target.value)) this.dialog.querySelector("[data-main]").click();
  }

  // What is shown answers what is written, and one of it is chosen.
  #isFound(q) {
    const targets = this.dialog.querySelector("#targets");
    return targets?.dataset.q?.trim() === q.trim() && Boolean(targets.querySelector(":checked"));
  }

  #prune(sent) {
    const action = this.dialog?.id.slice("batch-".length);
    for (const [kind, names] of Object.entries(FIELDS)) if (kind !== action) for (const name of names) sent.delete(name);
    if (sent.get("alt_text") === "" && !sent.get("decorative")) for (const name of FIELDS.describe) sent.delete(name);
    const texts = changedTexts(this);
    for (const [id] of texts) if (action !== "describe") sent.delete(`alt_text.${id}`);
    if (action !== "describe" || sent.has("alt_text") || sent.has("decorative")) return;
    for (const name of [...sent.keys()]) if (name === "ids" || name === "all" || name.startsWith("alt_text.")) sent.delete(name);
    for (const [id, text] of texts) {
      sent.append("ids", id);
      sent.append(`alt_text.${id}`, text);
    }
  }

  #answered(ctx) {
    if (ctx.sourceElement !== this.form) return; // what else asks from within it, as where the chosen are used
    const dialog = this.dialog;
    if (ctx.response.status === 422 && dialog) {
      ctx.target = dialog.querySelector("[data-part=refused]");
      ctx.swap = "innerHTML";
      dialog.querySelector("textarea, input:is([type=search], [type=text], :not([type]))").focus();
      return;
    }
    if (ctx.response.status < 400) {
      if (dialog?.id === "batch-describe") forgetTexts(this);
      for (const field of dialog?.querySelectorAll("input[type=text], input:not([type]), textarea") ?? []) field.value = "";
      this.all.checked = false;
    }
    dialog?.close();
    if (this.isForUnsaid && ctx.response.status < 400) this.gallery.selection.clear();
  }
}

customElements.define("bulk-bar", BulkBar);
