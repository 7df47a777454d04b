// <trash-list>: choosing many (a day, Shift for a range, Ctrl+A for all that are shown, Escape for none), how many are chosen, and the
// focus on the neighbour of what has gone. Without script each picture is ticked by itself.

class TrashList extends HTMLElement {
  connectedCallback() {
    this.ending = new AbortController();
    const on = (target, name, act) => target.addEventListener(name, act, { signal: this.ending.signal });
    on(this, "click", (event) => event.target.name === "ids" && this.#range(event));
    on(this, "change", (event) => this.#changed(event.target));
    on(this, "reset", () => setTimeout(() => this.#chosenNone()));
    on(this, "focusin", (event) => this.#remember(event.target));
    on(document, "keydown", (event) => this.#key(event));
    on(document, "htmx:after:swap", () => this.#giveFocusBack());
    this.watcher = new MutationObserver(() => this.#show());
    this.watcher.observe(this, { childList: true, subtree: true });
    this.#show();
  }

  disconnectedCallback() {
    this.ending.abort();
    this.watcher.disconnect();
  }

  get boxes() {
    return [...this.querySelectorAll("input[name=ids][type=checkbox]")];
  }

  get rows() {
    return [...this.querySelectorAll(".trash > li[id]")];
  }

  #range(event) {
    const boxes = this.boxes;
    const [from, to] = [boxes.indexOf(this.last), boxes.indexOf(event.target)].sort((a, b) => a - b);
    if (event.shiftKey && from >= 0) for (const box of boxes.slice(from, to)) box.checked = event.target.checked;
    this.last = event.target;
  }

  #changed(box) {
    const part = { all: () => this.boxes, day: () => boxesOf(box.closest("li")) }[box.dataset.part];
    for (const each of part?.() ?? []) each.checked = box.checked;
    this.#show();
  }

  // A day says whether its pictures are chosen; one that has none any more goes.
  #showDays() {
    for (const day of this.querySelectorAll(".trash > .of-day")) {
      const boxes = boxesOf(day);
      const box = day.querySelector("input");
      if (!day.nextElementSibling?.id) day.remove();
      else if (box) showShare(box, boxes);
    }
  }

  #chosenNone() {
    this.#show();
    (this.last?.isConnected ? this.last : this.boxes[0])?.focus();
  }

  #show() {
    const boxes = this.boxes;
    const chosen = boxes.filter((box) => box.checked).length;
    const count = this.querySelector("[data-part=count]");
    const words = `${chosen} chosen`;
    if (count && count.textContent !== words) count.textContent = words;
    const all = this.querySelector("[data-part=all]");
    if (all) showShare(all, boxes);
    this.#showDays();
    this.#giveFocusBack();
  }

  // What had the focus, and the place of its row: both outlive a list that is replaced.
  #remember(target) {
    TrashList.held = target;
    const row = target.closest("li[id]");
    if (row) TrashList.index = this.rows.indexOf(row);
  }

  // Not while what had it is still there, and can have it.
  #giveFocusBack() {
    const active = document.activeElement;
    const isLost = !active || active === document.body || (active.closest(".bulk-bar") && !this.boxes.some((box) => box.checked));
    const held = TrashList.held;
    if (!isLost || !held || (held.isConnected && !held.closest(".bulk-bar"))) return;
    const rows = this.rows;
    const row = rows[Math.min(TrashList.index ?? 0, rows.length - 1)];
    const target = row?.querySelector(":scope > .row button") ?? this.querySelector("h1");
    if (target?.matches("h1")) target.tabIndex = -1;
    target?.focus();
  }

  #key(event) {
    if (event.target.closest("dialog, [popover]")) return;
    const box = event.target.name === "ids" ? event.target : null;
    if (event.key === "a" && (event.ctrlKey || event.metaKey) && isOurs(event)) this.#choose(true);
    else if (event.key === "Escape" && this.boxes.some((each) => each.checked)) this.#choose(false);
    else if (box && (event.key === "ArrowDown" || event.key === "ArrowUp")) this.#step(box, event.key === "ArrowDown" ? 1 : -1);
    else return;
    event.preventDefault();
  }

  #choose(checked) {
    for (const box of this.boxes) box.checked = checked;
    this.#show();
  }

  #step(box, by) {
    const boxes = this.boxes;
    boxes[boxes.indexOf(box) + by]?.focus();
  }
}

const boxesOf = (day) => {
  const boxes = [];
  for (let row = day.nextElementSibling; row?.id; row = row.nextElementSibling) boxes.push(row.querySelector("[name=ids]"));
  return boxes.filter(Boolean);
};

const showShare = (box, boxes) => {
  const chosen = boxes.filter((each) => each.checked).length;
  box.checked = chosen > 0 && chosen === boxes.length;
  box.indeterminate = chosen > 0 && chosen < boxes.length;
};

// Ctrl+A is a key beside a modifier: only where nothing is typed.
const isOurs = (event) => !event.target.closest("input:not([type=checkbox]), textarea, select, [contenteditable]");

customElements.define("trash-list", TrashList);
