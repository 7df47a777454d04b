// What an action could not do stands in #notices: the server's refusals come by hx-status on <body>; here, when no answer came.
const area = () => document.getElementById("notices");

export function sayTemplate(id) {
  const template = document.getElementById(id);
  if (template) area()?.replaceChildren(template.content.cloneNode(true));
}

document.addEventListener("htmx:error", () => sayTemplate("no-answer"));

const DEEDS = ["click", "submit", "change", "input", "keydown", "keyup", "search"];

// What a person asks for; the rest a page asks by itself: again and again, or as something is shown.
export const isDeed = ({ sourceEvent, sourceElement }) =>
  DEEDS.includes(sourceEvent?.type) && !sourceElement.matches("[hx-trigger^=every]");

// who is signed out signs in at the next deed (patient-fetch.js), not before: what is on the page may not be left
document.addEventListener("htmx:before:response", (event) => {
  const { ctx } = event.detail;
  if (ctx.response.status === 401 && !isDeed(ctx)) event.preventDefault();
});

// the next deed of a person clears it; what asks by itself (polling) does not
document.addEventListener("htmx:before:request", (event) => {
  const by = event.detail.ctx?.sourceEvent?.type;
  if (by === "click" || by === "submit") area()?.replaceChildren();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-dismiss]");
  if (button) document.querySelector(button.dataset.dismiss)?.remove();
});
