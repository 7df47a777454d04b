// What a person asks of the portal through htmx is not lost with the network, nor with the session: it waits, and goes on.
import { backOnLine } from "./lost-line.js";
import { isDeed, sayTemplate } from "./notices.js";
import { tokenOfPage } from "./session.js";
import { signedIn } from "./sign-in-again.js";

function notWanted(found) {
  if (found === "other") sayTemplate("other-session");
  return new DOMException("not wanted any more", "AbortError");
}

// `stays` is called before it waits, so that a limit of time does not end it meanwhile.
export async function patientFetch(url, request, stays = () => {}) {
  for (;;) {
    const answer = await overTheLine(url, request, stays);
    const isOurs = answer.status === 401 || (answer.status === 403 && request.method !== "GET");
    if (!isOurs || !document.getElementById("sign-in-again")) return answer;
    stays();
    const found = await signedIn();
    if (found === "out" || found === "other") throw notWanted(found);
    if (found === "unknown") throw new TypeError("the portal does not answer");
    if (found !== "renewed" && !hasOldToken(request)) return answer; // refused for another reason
    renew(request);
  }
}

async function overTheLine(url, request, stays) {
  for (;;) {
    const wasSent = navigator.onLine;
    try {
      return await fetch(url, request);
    } catch (error) {
      if (request.signal?.aborted) throw error;
      stays();
      await backOnLine(request.method === "GET" || !wasSent);
    }
  }
}

const hasOldToken = ({ headers }) => headers["X-CSRF-Token"] !== undefined && headers["X-CSRF-Token"] !== tokenOfPage();

function renew(request) {
  request.headers["X-CSRF-Token"] = tokenOfPage();
  if (request.body?.has?.("csrf_token")) request.body.set("csrf_token", tokenOfPage());
}

document.addEventListener("htmx:config:request", ({ detail: { ctx } }) => {
  if (!isDeed(ctx)) return;
  const stays = () => clearTimeout(ctx.requestTimeout);
  ctx.fetch = (url, request) => patientFetch(url, request, stays).catch((error) => giveUp(ctx, error));
});

// Its button was disabled meanwhile, and has lost the focus.
function giveUp({ request, sourceElement }, error) {
  setTimeout(() => document.activeElement === document.body && (request.submitter ?? sourceElement).focus?.());
  throw error;
}
