"""The Debian package: built by Debian's tools, liked by lintian, installed, used, and gone again."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import TOP, files, run

TOOLS = ["dpkg-buildpackage", "dh", "lintian"]


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    """A copy of what is, or is about to be, in the repository."""
    place = tmp_path_factory.mktemp("deb") / "tare"
    place.mkdir()
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=TOP)
    for name in filter(None, listed.split("\0")):
        if (TOP / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(TOP / name, place / name)
    return place


@pytest.fixture(scope="session")
def package(sources, built):
    """The directory with the .deb and the .changes. The unit tests have a stage of their own, and with
    upstream's flags alone the compiler's cache has what `built` has compiled."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        pytest.skip(f"no {', '.join(missing)}")
    flags = {f"DEB_{name}_SET": "" for name in ("CXXFLAGS", "CPPFLAGS", "LDFLAGS", "CFLAGS")}
    more = {"DEB_BUILD_OPTIONS": "nocheck upstream"}
    if shutil.which("ccache"):
        more["CCACHE_DIR"] = run("ccache", "-k", "cache_dir").strip()
    run("dpkg-buildpackage", "-us", "-uc", "-b", cwd=sources, env={**os.environ, **flags, **more})
    return sources.parent


def deb(package):
    (found,) = package.glob("tare_*.deb")
    return found


def test_lintian_finds_nothing(package):
    (changes,) = package.glob("*.changes")
    said = run("lintian", "--allow-root", "--fail-on", "error,warning", "--display-info", changes,
               env={**os.environ, "LC_ALL": "C.UTF-8"})
    # Who watches that no override is without use, or hides more than it says.
    assert [line for line in said.splitlines() if re.match(r"[EWI]: ", line)] == []


def test_the_version_is_that_of_the_program(package):
    version = re.search(r"version: '([^']+)'", (TOP / "meson.build").read_text()).group(1)
    assert run("dpkg-deb", "-f", deb(package), "Version").strip() == version


def test_what_is_linked_in_is_named_with_its_version(package):
    kept = run("dpkg-deb", "-f", deb(package), "Built-Using")
    linked = run("dpkg-deb", "-f", deb(package), "Static-Built-Using")
    for source in ("glibc", "libseccomp", "dbus", r"gcc-\d+"):
        assert re.search(rf"\b{source} \(= \S+\)", kept), source
        assert re.search(rf"\b{source} \(= \S+\)", linked), source
    for source in ("nlohmann-json3", "fmtlib"):
        assert re.search(rf"\b{source} \(= \S+\)", linked), source


def test_it_has_the_files_of_meson_install(package, installed, tmp_path):
    run("dpkg-deb", "-x", deb(package), tmp_path)
    debians = {"/usr/share/zsh/vendor-completions/_tare": "/usr/share/zsh/site-functions/_tare"}
    there = [path.removesuffix(".gz") if "/man/" in path else path for path in files(tmp_path)]
    there = sorted(debians.get(path, path) for path in there)
    own = ("/usr/share/doc/", "/usr/share/lintian/")
    assert [path for path in there if not path.startswith(own)] == files(installed)


# Everything that happens in $1/root is written to $1/upper. A tmpfs, as overlayfs wants one.
SCRIPT = r"""
    place=$1 package=$2
    mount -t tmpfs none "$place"
    mkdir "$place/upper" "$place/work" "$place/root" "$place/bundle"
    mount -t overlay none -o "lowerdir=/,upperdir=$place/upper,workdir=$place/work" "$place/root"
    for name in proc sys dev; do mount --rbind "/$name" "$place/root/$name"; done
    mount -t tmpfs none "$place/root/run"
    mount -t tmpfs none "$place/root/tmp"
    cp "$package" "$place/root/tmp/tare.deb"
    mkdir -p "$place/root/tmp/bundle/rootfs/bin"
    cp "$(command -v busybox)" "$place/root/tmp/bundle/rootfs/bin/sh"
    cd "$place"
    in_root() { chroot root env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
    in_root dpkg -i /tmp/tare.deb >&2
    in_root dpkg -V tare
    in_root sh -euc 'cd /tmp/bundle; tare spec; sed -i "s/\"terminal\": true/\"terminal\": false/" config.json'
    ended=0
    in_root tare --cgroup-manager disabled run --bundle /tmp/bundle box </dev/null || ended=$?
    echo "ended $ended"
    in_root tare list -q
    in_root dpkg -P tare >&2
    in_root dpkg-query -s tare 2>&1 | head -n 1
    # A whiteout is something that was there before and is not any more.
    find upper run ! -type d -printf "left %y %p\n" 2>/dev/null || true
    find upper -name "*tare*" -printf "left %y %p\n"
    find root/run -mindepth 1 -printf "left %y %p\n"
"""
# What dpkg keeps of everything it does, and the caches that its triggers make anew.
KEPT = r"left . (?!.*tare)upper/(var/(lib/dpkg|log|cache)/|etc/ld\.so\.cache)"


def test_it_is_installed_and_used_and_leaves_nothing(package, tmp_path):
    if os.geteuid() != 0:
        pytest.skip("not root")
    argv = ["unshare", "--mount", "--propagation", "private", "sh", "-euc", SCRIPT, "sh", tmp_path, deb(package)]
    ended = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           check=False)
    assert ended.returncode == 0, ended.stderr
    said = ended.stdout.splitlines()
    # The shell of `tare spec` read the end of its input.
    assert "ended 0" in said, ended.stderr
    assert any("not installed" in line for line in said), said
    assert [line for line in said if line.startswith("left") and not re.match(KEPT, line)] == []
