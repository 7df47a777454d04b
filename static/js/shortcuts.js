// Which keys are ours: none that is typed into a field, none beside a modifier, and none where the account wants no shortcuts
// (WCAG 2.1.4). Every key that acts by itself asks here first.
const TYPED_INTO = "input:not([type=checkbox], [type=radio], [type=button], [type=submit], [type=file]), textarea, select, [contenteditable]";
const ELSEWHERE = `${TYPED_INTO}, dialog, [popover]`;

export const isShortcut = (event) =>
  !event.defaultPrevented &&
  !event.isComposing &&
  !event.ctrlKey &&
  !event.metaKey &&
  !event.altKey &&
  document.body.dataset.shortcuts !== "off" &&
  !event.target.closest(ELSEWHERE);
