// What only a screen reader hears: into the live region of the page.
export function say(words) {
  const region = document.getElementById("gallery-said");
  if (region) region.textContent = words;
}
