// An answer may come when its target has been renewed by another one: polling renews what a button of it has asked for. htmx keeps
// the element of when it was asked, and drops the answer if that is gone; the one of the same id has taken its place.
document.addEventListener("htmx:after:request", (event) => {
  const { ctx } = event.detail;
  if (ctx.target?.isConnected === false && ctx.target.id) ctx.target = document.getElementById(ctx.target.id) ?? ctx.target;
});
