#!/bin/sh
# Run the tests that the arguments name, or all: first what needs no browser, then the attack, which measures and so runs
# alone, then the browser's own, each process with a portal and a browser. (Its synchronous interface and asynchronous tests
# share no session.)
set -eu
cd "$(dirname "$0")/.."

plain() { .venv/bin/python -m pytest -n 2 --dist worksteal "$@"; }

alone() { .venv/bin/python -m pytest "$@"; }

find_browser() {
    PORTAL_TEST_BROWSER=$(.venv/bin/python scripts/find_browser.py)
    export PORTAL_TEST_BROWSER
}

case "$*" in
*tests/e2e*tests/[!e]* | *tests/[!e]*tests/e2e*)
    echo "The browser's tests run alone: name tests/e2e in a call of its own." >&2
    exit 2
    ;;
*tests/e2e*)
    find_browser
    plain "$@"
    ;;
"")
    find_browser # first of all: who has none should know at once
    failed=0
    plain --ignore=tests/e2e --ignore=tests/attack tests || failed=$?
    alone tests/attack || failed=$?
    plain tests/e2e || failed=$?
    exit $failed
    ;;
*tests/attack*) alone "$@" ;;
*) plain "$@" ;;
esac
