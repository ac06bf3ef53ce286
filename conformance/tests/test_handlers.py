"""Handlers: a program of the host that is executed in the container, by annotation."""

import os
import pathlib
import shutil
import subprocess

import pytest

pytestmark = [
    pytest.mark.row("run.oci.handler"),
    pytest.mark.tare("crun loads libraries for its handlers, runc has none"),
]

HANDLERS = pathlib.Path("/etc/tare/handlers")


@pytest.fixture
def handlers(scratch):
    """An /etc of the session's own, with a directory for handlers that is empty."""
    place = scratch / "etc"
    for name in ("upper", "work"):
        (place / name).mkdir(parents=True)
    options = f"lowerdir=/etc,upperdir={place}/upper,workdir={place}/work"
    done = subprocess.run(["mount", "-t", "overlay", "overlay", "/etc", "-o", options], check=False)
    if done.returncode:
        pytest.skip("no overlay can be mounted over /etc")
    HANDLERS.mkdir(parents=True)
    yield HANDLERS
    subprocess.run(["umount", "-l", "/etc"], check=True)
    shutil.rmtree(place)


@pytest.fixture
def boxed(handlers, box):
    """A box, and what it is used with: set(annotation=value) and put(name, file)."""
    box.handle = lambda value, name="run.oci.handler": box.config.setdefault(
        "annotations", {}
    ).update({name: value})
    box.put = lambda name, file="probe": shutil.copy(box.rootfs / file, handlers / name)
    return box


def test_the_handler_is_executed_with_the_arguments_of_the_process(boxed):
    boxed.put("echo", "bin/busybox")
    boxed.handle("echo")
    boxed.args("/app.wasm", "a b", "")
    assert boxed.run().check().out == "/app.wasm a b \n"


def test_the_handler_is_in_the_container_with_all_that_the_config_says(boxed):
    boxed.put("wasm")
    boxed.handle("wasm")
    boxed.args("facts")
    boxed.set("process.user", {"uid": 7, "gid": 8})
    boxed.set("process.env", ["PATH=/bin", "A=b"])
    boxed.set("process.cwd", "/tmp")
    facts = boxed.run().check().json
    assert facts["args"] == ["wasm", "facts"]
    assert facts["uids"] == [7, 7, 7] and facts["cwd"] == "/tmp"
    assert facts["hostname"] == boxed.config["hostname"]


def test_neither_the_program_nor_anything_else_of_the_host_is_open_in_it(boxed):
    boxed.put("wasm")
    boxed.handle("wasm")
    boxed.args("facts")
    fds = boxed.run().check().json["fds"]
    assert {int(number) for number in fds} <= {0, 1, 2}


def test_what_runs_in_the_container_cannot_write_to_the_program(boxed):
    """CVE-2019-5736, with the handler in the place of the runtime."""
    boxed.put("sh", "bin/busybox")
    before = (HANDLERS / "sh").read_bytes()
    boxed.handle("sh")
    # The link is opened when the program does not run any more, or the kernel would say ETXTBSY.
    boxed.args("-c", "exec 5</proc/self/exe; exec /bin/sh -c 'echo x > /proc/self/fd/5; echo $?'")
    result = boxed.run()
    assert result.out.strip() != "0"
    assert (HANDLERS / "sh").read_bytes() == before
    assert "read-only" in result.err.lower()


def test_a_link_leads_to_the_program(boxed):
    shutil.copy(boxed.rootfs / "bin/busybox", boxed.path("program"))
    (HANDLERS / "echo").symlink_to(boxed.path("program"))
    boxed.handle("echo")
    boxed.args("well")
    assert boxed.run().check().out == "well\n"


@pytest.mark.parametrize(
    "name, value, args, handled",
    [
        ("run.oci.handler", "wasm-smart", ["app.wasm"], True),
        ("run.oci.handler", "wasm-smart", ["app.wat"], True),
        ("run.oci.handler", "wasm-smart", ["/bin/true"], False),
        ("module.wasm.image/variant", "compat", ["/bin/true"], True),
        ("module.wasm.image/variant", "compat-smart", ["app.wasm"], True),
        ("module.wasm.image/variant", "compat-smart", ["/bin/true"], False),
        ("module.wasm.image/variant", "other", ["/bin/true"], False),
    ],
)
def test_which_programs_are_for_the_wasm_handler(boxed, name, value, args, handled):
    # The probe ends with 2 when its first argument is none of its parts.
    boxed.put("wasm")
    boxed.handle(value, name)
    boxed.args(*args)
    result = boxed.run()
    assert ("probe: no part" in result.err) == handled
    assert handled or result.code == 0


def test_a_process_that_exec_adds_is_its_own_program(boxed):
    boxed.put("wasm")
    boxed.handle("wasm")
    ready = boxed.bundle.fifo("ready")
    boxed.args("hold", "/ready")
    boxed.create().check()
    boxed.start().check()
    assert ready.line() == "ready"
    assert boxed.exec("echo", "plain").check().out == "plain\n"


def test_a_handler_that_is_not_there_is_named_with_its_place(boxed):
    boxed.handle("wasmedge")
    result = boxed.run().fails()
    assert "/annotations/run.oci.handler" in result.err
    assert "/etc/tare/handlers/wasmedge" in result.err
    assert boxed.state is None


def make_script(path):
    path.write_text("#!/bin/sh\necho no\n")
    path.chmod(0o755)


def make_dynamic(path):
    shutil.copy("/bin/ls", path)


def make_plain(path):
    shutil.copy(path.parent.parent.parent / "hostname", path)
    path.chmod(0o755)


def make_closed(path):
    shutil.copy("/bin/busybox", path)
    path.chmod(0o644)


def make_short(path):
    path.write_bytes(b"\x7fELF\x02")
    path.chmod(0o755)


def make_torn(path):
    path.write_bytes(pathlib.Path("/bin/busybox").read_bytes()[:80])
    path.chmod(0o755)


WRONG = {
    "a script": (make_script, "no ELF"),
    "a dynamic program": (make_dynamic, "not static"),
    "a text": (make_plain, "no ELF"),
    "a file that is not executable": (make_closed, "not executable"),
    "a short file": (make_short, "ELF"),
    "a torn file": (make_torn, "damaged"),
    "a directory": (os.mkdir, "no regular file"),
    "a fifo": (os.mkfifo, "no regular file"),
}


@pytest.mark.parametrize("make, said", WRONG.values(), ids=WRONG)
def test_a_handler_is_refused_that_is(boxed, make, said):
    make(HANDLERS / "wasm")
    boxed.handle("wasm")
    result = boxed.run().fails()
    assert said in result.err and "run.oci.handler" in result.err


@pytest.mark.parametrize("name", ["", "..", ".", "../wasm", "/etc/passwd", "a/b", "x" * 256])
def test_a_name_that_leads_elsewhere_is_refused(boxed, name):
    boxed.handle(name)
    assert "/annotations/run.oci.handler" in boxed.run().fails().err


@pytest.mark.parametrize("name", ["run.oci.seccomp.plugins", "run.oci.systemd.force_cgroup_v1"])
def test_an_annotation_that_a_static_program_cannot_follow_is_refused(box, name):
    box.config["annotations"] = {name: "/usr/lib/x.so"}
    result = box.run().fails()
    assert f"/annotations/{name}" in result.err and "not supported" in result.err


@pytest.mark.parametrize("name", ["run.oci.handler", "module.wasm.image/variant"])
def test_features_names_the_annotation(box, name):
    features = box.runtime.bare("features").check().json
    assert name in features["potentiallyUnsafeConfigAnnotations"]
