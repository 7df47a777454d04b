#!/bin/sh
# Run the tests that the arguments name, or all: first what needs no browser, on two processes, then the browser's own.
# (The browser's synchronous interface and asynchronous tests do not share a session.)
set -eu
cd "$(dirname "$0")/.."
python=.venv/bin/python

with_browser() {
    PORTAL_TEST_BROWSER=$($python scripts/find_browser.py)
    export PORTAL_TEST_BROWSER
    $python -m pytest "$@"
}

case "$*" in
"") ;;
*e2e*) with_browser "$@" && exit ;;
*) exec $python -m pytest -n 2 "$@" ;;
esac

PORTAL_TEST_BROWSER=$($python scripts/find_browser.py) # before the tests: who has none should know at once
export PORTAL_TEST_BROWSER
failed=0
$python -m pytest -n 2 --ignore=tests/e2e tests || failed=$?
$python -m pytest tests/e2e || failed=$?
exit $failed
