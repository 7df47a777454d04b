// What an action could not do stands in #notices: the server's refusals come by hx-status on <body>; here, when no answer came.
const area = () => document.getElementById("notices");

document.addEventListener("htmx:error", () => {
  const template = document.getElementById("no-answer");
  if (template) area()?.replaceChildren(template.content.cloneNode(true));
});

// who is signed out is led to sign in by the next deed, not by polling: what is on the page may not be left
document.addEventListener("htmx:before:response", (event) => {
  const { response, sourceElement } = event.detail.ctx;
  if (response.status === 401 && sourceElement.matches("[hx-trigger^=every]")) event.preventDefault();
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
