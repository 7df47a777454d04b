// <attribute-rows>: the fields of free attributes. One more row by its button, one less by the row's own; the focus stays beside it.

class AttributeRows extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const act = event.target.closest("[data-act]")?.dataset.act;
      if (act === "add") this.#add();
      if (act === "remove") this.#remove(event.target.closest(".attribute"));
    });
    const rows = this.#rows;
    this.blank = rows.at(-1).cloneNode(true);
    this.blank.classList.remove("spare");
    this.blank.querySelectorAll("input").forEach((input) => input.removeAttribute("autofocus"));
    this.querySelector(".spare")?.remove(); // for who has no script
  }

  get #rows() {
    return [...this.querySelectorAll(".attribute")];
  }

  #add() {
    const last = this.#rows.at(-1);
    const row = this.blank.cloneNode(true);
    if (last) last.after(row);
    else this.querySelector("legend").after(row);
    row.querySelector("input").focus();
  }

  #remove(row) {
    const beside = row.nextElementSibling?.matches(".attribute") ? row.nextElementSibling : row.previousElementSibling;
    if ([...row.querySelectorAll("input")].some((input) => input.defaultValue)) this.dataset.removed = "";
    row.remove();
    if (!this.#rows.length) this.#add(); // an empty list is said by an empty row
    else beside.querySelector("[data-act=remove]").focus();
    this.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

customElements.define("attribute-rows", AttributeRows);
