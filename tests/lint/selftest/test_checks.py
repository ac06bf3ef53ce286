"""Each check fails on a small tree that breaks its rule, and passes on one that keeps it."""

import attacks
import functions
import pytest
import rooms
import scripts
import text

HEADER = "/// What it is.\n#pragma once\n"
UNFINISHED = "TO" + "DO"
LONG_BODY = "".join(f"  count += {n};\n" for n in range(60))
BRANCHES = "".join(f"  if (n == {n}) return {n};\n" for n in range(16))

REPLAY = 'A = pytest.mark.attack("A-99", "CVE-2099-12345")\n'
TABLE_ROW = "| A-99 | CVE-2099-12345 | what | how | why |\n"

# check, files, a part of the finding
BAD = [
    (attacks.replays_are_in_the_table, {"conformance/a.py": REPLAY}, "A-99 is not in SECURITY.md"),
    (attacks.replays_are_in_the_table, {"conformance/a.py": REPLAY,
                                        "SECURITY.md": TABLE_ROW.replace("2099", "2098")}, "CVE-2099-12345 is not"),
    (attacks.rows_are_replayed, {"SECURITY.md": "\n" + TABLE_ROW}, "SECURITY.md:2: A-99 is replayed nowhere"),
    (rooms.include_direction, {"src/sys/fd.cpp": '#include "spec/reader.hpp"\n'}, "sys may not include"),
    (rooms.include_direction, {"src/features/a.cpp": '#include "stages/init.hpp"\n'}, "features may not"),
    (rooms.include_direction, {"src/spec/reader.cpp": '#include "sys/fd.hpp"\n'}, "the reader knows"),
    (rooms.include_direction, {"src/sys/fd.cpp": '#include "tare/runtime.hpp"\n'}, "error.hpp only"),
    (rooms.include_direction, {"src/sys/fd.cpp": '#include "fd.hpp"\n'}, "does not name its room"),
    (rooms.include_direction, {"include/tare/a.hpp": '#include "sys/fd.hpp"\n'}, "knows itself only"),
    (rooms.include_direction, {"src/attic/a.cpp": "\n"}, "no room is called attic"),
    (rooms.hidden_libraries, {"src/state/a.cpp": "#include <rapidjson/document.h>\n"}, "business of src/spec"),
    (rooms.file_scope_state, {"src/sys/a.cpp": "constinit thread_local Blocks blocks(room, 4);\n"}, "mutable state"),
    (rooms.include_cycles, {"src/sys/a.hpp": '#include "sys/b.hpp"\n',
                            "src/sys/b.hpp": '#include "sys/a.hpp"\n'}, "cycle: sys/a.hpp"),
    (rooms.include_cycles, {"src/sys/a.hpp": '#include "host/b.hpp"\n', "src/host/b.hpp": "\n",
                            "src/host/c.hpp": '#include "sys/d.hpp"\n'}, "host and sys include each other"),
    (rooms.system_calls, {"src/stages/init.cpp": "  ::close(fd);\n"}, "::close( outside src/sys"),
    (rooms.system_calls, {"src/state/a.cpp": "  return ::mount(a, b, c, 0, d);\n"}, "::mount("),
    (rooms.system_calls, {"src/host/a.cpp": "  if (errno == EINTR) {}\n"}, "errno"),
    (rooms.system_calls, {"src/host/a.cpp": "  long n = syscall(SYS_gettid);\n"}, "syscall()"),
    (rooms.catch_all, {"src/stages/init.cpp": "} catch (...) {\n"}, "hides an error"),
    (rooms.apply_only_in_stages, {"src/cli/run.cpp": "  mounts::apply(plan, root);\n"}, "mounts::apply("),
    (rooms.apply_only_in_stages, {"src/features/a.cpp": "  hooks::apply_in_parent(plan);\n"}, "apply_in_parent"),
    (rooms.apply_only_in_stages, {"src/features/a.cpp": "void apply_in_init(P p) {\n  apply(p);\n}\n"}, "apply("),
    (rooms.file_scope_state, {"src/host/a.cpp": "static int calls = 0;\n"}, "static int calls"),
    (rooms.file_scope_state, {"src/host/a.cpp": "namespace {\nint calls = 0;\n}\n"}, "int calls"),
    (rooms.file_scope_state, {"src/host/a.cpp": "std::vector<int> seen;\n"}, "seen"),
    (rooms.file_scope_state, {"src/host/a.cpp": "int f() {\n  static std::string last;\n}\n"}, "last"),
    (rooms.file_scope_state, {"src/host/a.cpp": "thread_local int depth;\n"}, "depth"),
    (rooms.file_scope_state, {"src/host/a.cpp": "  alignas(8) static char room[64];\n"}, "room"),
    (text.length, {"src/sys/a.cpp": "\n" * 401}, "401 lines"),
    (text.length, {"tools/run": "#\n" * 401}, "401 lines"),
    (text.forbidden_anywhere, {"README.md": f"{UNFINISHED}: write this\n"}, "unfinished"),
    (text.forbidden_anywhere, {"src/sys/a.cpp": "// see .." + "/shared/design.md\n"}, "outside"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "  goto out;\n"}, "goto"),
    (text.forbidden_in_product, {"src/features/a.cpp": "auto* p = getpwnam(name);\n"}, "name services"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "#include <iostream>\n"}, "start-up"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "  usleep(10);\n"}, "await an event"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "std::thread t;\n"}, "one thread"),
    (text.forbidden_in_product, {"src/cli/a.cpp": 'std::printf("%d", 1);\n'}, "flushed"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "if (std::filesystem::exists(p)) {}\n"}, "symlinks"),
    (text.forbidden_in_product, {"src/sys/a.cpp": "int fd = mkstemp(name);\n"}, "--root"),
    (text.links, {"README.md": "see https:" + "//blog.example.net/x\n"}, "not one of the sources"),
    (text.commented_out, {"src/sys/a.cpp": "  // close(fd);\n"}, "close(fd);"),
    (text.commented_out, {"src/sys/a.cpp": "  // int n = 3;\n"}, "int n = 3;"),
    (text.names, {"src/sys/utils.cpp": "\n"}, "utils"),
    (text.names, {"src/sys/openTree.cpp": "\n"}, "snake_case"),
    (text.headers, {"src/sys/a.hpp": "#pragma once\n"}, "without a comment"),
    (text.headers, {"src/sys/a.hpp": "/// What.\n"}, "no #pragma once"),
    (text.meson_lists, {"src/sys/meson.build": "sources += files('b.cpp')\n", "src/sys/a.cpp": "\n"},
     "in no meson.build"),
    (text.mirrored_tests, {"tests/unit/sys/gone_test.cpp": "\n"}, "does not exist"),
    (text.mirrored_tests, {"src/features/sysctl.cpp": "\n"}, "has no unit test"),
    (text.final_newline, {"src/sys/a.cpp": "int a();"}, "newline"),
    (text.final_newline, {"src/sys/a.cpp": "int a(); \n"}, "spaces"),
    (text.comment_share, {"src/sys/a.cpp": "int a();\n" * 90 + "// b\n" * 10}, "10.0 percent"),
    (text.comment_share, {"src/sys/a.cpp": "int a();\n" * 70 + "// b\n" * 30}, "30.0 percent"),
    (text.test_share, {"src/sys/a.cpp": "\n" * 99, "tests/unit/sys/a_test.cpp": "\n" * 78}, "79 lines for 100"),
    (functions.function_length, {"src/sys/a.cpp": f"int f(int count) {{\n{LONG_BODY}  return count;\n}}\n"},
     "f has 63 lines"),
    (functions.complexity, {"src/sys/a.cpp": f"int f(int n) {{\n{BRANCHES}  return 0;\n}}\n"}, "complexity of 17"),
    (functions.header_comments, {"src/sys/a.hpp": HEADER + "\nint open_it(int a);\n"}, "open_it"),
    (functions.header_comments, {"src/sys/a.hpp": HEADER + "class A {\n public:\n\n  int size() const;\n};\n"},
     "size"),
    (scripts.shell_parses, {"tools/a": "#!/bin/bash\nset -euo pipefail\nif true\n"}, "syntax error"),
    (scripts.shell_parses, {"tools/a": "#!/bin/bash\necho\n"}, "pipefail"),
    (scripts.shellcheck, {"tools/a": "#!/bin/bash\nset -euo pipefail\nrm -rf $1\n"}, "SC2086"),
    (scripts.python_parses, {"tests/a.py": "def f(:\n"}, "syntax"),
    (scripts.python_parses, {"tests/a.py": "print(1)\n"}, "docstring"),
]

GOOD = [
    (attacks.replays_are_in_the_table, {"conformance/a.py": REPLAY, "SECURITY.md": TABLE_ROW}),
    (attacks.rows_are_replayed, {"conformance/a.py": REPLAY, "SECURITY.md": TABLE_ROW}),
    (rooms.include_direction, {"src/stages/a.cpp": '#include "features/all.hpp"\n#include "tare/error.hpp"\n',
                               "src/main.cpp": '#include "cli/cli.hpp"\n'}),
    (rooms.include_cycles, {"src/sys/a.hpp": '#include "sys/b.hpp"\n', "src/sys/b.hpp": "\n",
                            "src/sys/a.cpp": '#include "sys/a.hpp"\n'}),
    (rooms.system_calls, {"src/sys/a.cpp": "  ::close(fd);\n", "src/host/a.cpp":
                          '  // ::close(fd) closes\n  say("::close(");\n  sys::close(fd);\n'}),
    (rooms.catch_all, {"src/main.cpp": "} catch (...) {\n", "src/sys/process.cpp": "} catch (...) {\n"}),
    (rooms.apply_only_in_stages, {"src/stages/init.cpp": "  mounts::apply(plan, root);\n",
                                  "src/features/a.cpp": "void apply(const Plan& plan) {\n}\n",
                                  "src/cli/a.cpp": "  std::apply(f, t);\n"}),
    (rooms.file_scope_state, {"src/host/a.cpp": "constexpr int limit = 3;\nstatic const char* const name = x;\n"
                              "const std::vector<int> table = {\n    1,\n};\nint f();\nstatic int g(int a);\n"
                              "using Names = std::vector<int>;\n\nint f() {\n  int local = 1;\n}\n"
                              "struct Plan {\n  int pids = 0;\n  std::string name;\n};\n"}),
    (rooms.hidden_libraries, {"src/spec/a.cpp": "#include <rapidjson/document.h>\n#include <fmt/core.h>\n"}),
    (rooms.file_scope_state, {"src/sys/a.cpp": "constinit const int kOne = 1;\nthread_local_name(1);\n"}),
    (text.length, {"src/sys/a.cpp": "\n" * 400}),
    (text.forbidden_in_product, {"src/sys/a.cpp": '// no goto here, and sleep() neither\nsay("usleep(3)");\n'}),
    (text.commented_out, {"src/sys/a.cpp": "// The kernel answers EINVAL (see mount(2)); so do we.\n"
                          "// Prose that ends in a semicolon, as here;\n"}),
    (text.meson_lists, {"src/sys/meson.build": "sources += files('a.cpp')\n", "src/sys/a.cpp": "\n"}),
    (text.comment_share, {"src/sys/a.cpp": "int a();\n" * 80 + "// b\n" * 20}),
    (text.test_share, {"src/sys/a.cpp": "\n" * 99, "tests/unit/sys/a_test.cpp": "\n" * 79}),
    (functions.header_comments, {"src/sys/a.hpp": HEADER + "/// Opens it.\nint open_it(int a);\n"
                                 "int open_it(int a, int b);\n"
                                 "class A {\n public:\n  A();\n  A(const A&) = delete;\n  bool operator==(const A&) const;\n"
                                 " private:\n  void fail();\n};\n"}),
]


@pytest.mark.parametrize("check, files, expected", BAD, ids=[f"{c.__name__}-{e}" for c, _, e in BAD])
def test_finds_what_breaks_the_rule(tree_of, check, files, expected):
    found = [str(finding) for finding in check(tree_of(files))]
    assert any(expected in finding for finding in found), found


@pytest.mark.parametrize("check, files", GOOD, ids=[c.__name__ for c, _ in GOOD])
def test_is_silent_on_what_keeps_the_rule(tree_of, check, files):
    assert [str(finding) for finding in check(tree_of(files))] == []


def test_every_check_is_shown_to_fail():
    shown = {check for check, _, _ in BAD}
    every = {*rooms.CHECKS, *attacks.CHECKS, *text.CHECKS, *functions.CHECKS, *scripts.CHECKS}
    assert {check.__name__ for check in every - shown} == set()
