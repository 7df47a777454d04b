// The one module each page starts; the rest hangs on it by relative imports, which carry the version in this file's URL.
import "./toasts.js";
import "./theme.js";
import "./notices.js";
import "./answers.js";
import "./patient-fetch.js";
import "./openers.js";
import "./search-key.js";
import "./next-one.js";
import "./keys-help.js";
import "./upload-notice.js";
