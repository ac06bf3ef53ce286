#include "features/cgroup.hpp"

#include "cgroup_scratch.hpp"

namespace tare::cgroup {
namespace {

using test::CgroupScratch;
using test::Sleeper;

std::string apply_error(const Plan& plan) {
  try {
    apply_in_parent(plan);
  } catch (const Error& error) {
    CHECK(error.field() == "/linux/cgroupsPath");
    return error.message();
  }
  return "it was made";
}

TEST_CASE("a cgroup is made with its parents, outermost first, and taken away again", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const Created created = apply_in_parent(scratch.plan("/a/b"));
  CHECK(created.directory);
  CHECK(created.made == std::vector<std::string>{scratch.directory(""), scratch.directory("/a"),
                                                 scratch.directory("/a/b")});
  remove_made(created.made);
  CHECK_FALSE(scratch.exists(""));
}

TEST_CASE("a cgroup that exists and is empty is taken over, and is not ours to take away",
          "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  scratch.make("/a");
  const Created created = apply_in_parent(scratch.plan("/a"));
  CHECK(created.directory);
  CHECK(created.made.empty());
}

TEST_CASE("undoing leaves a parent that holds another container", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const Created created = apply_in_parent(scratch.plan("/a"));
  scratch.make("/b");
  remove_made(created.made);
  CHECK_FALSE(scratch.exists("/a"));
  CHECK(scratch.exists("/b"));
}

TEST_CASE("a cgroup with processes in it or below it is refused with their number", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd inner = scratch.make("/a/inner");
  Sleeper first(inner);
  Sleeper second(inner);
  CHECK(apply_error(scratch.plan("/a")) == "container's cgroup is not empty: 2 process(es) found");
}

TEST_CASE("a frozen cgroup, and a new one below a frozen one, are refused and leave nothing",
          "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  scratch.make("/a");
  scratch.write("/a/cgroup.freeze", "1");
  CHECK(apply_error(scratch.plan("/a")) == "container's cgroup unexpectedly frozen");
  CHECK(scratch.exists("/a"));
  CHECK(apply_error(scratch.plan("/a/b/c")) == "container's cgroup unexpectedly frozen");
  CHECK_FALSE(scratch.exists("/a/b"));
}

TEST_CASE("a path that cannot be made leaves nothing of its parents", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  CHECK(apply_error(scratch.plan("/a/new\nline")) ==
        "unable to apply cgroup configuration: mkdir " + scratch.directory("/a/new\nline") +
            ": invalid argument");
  CHECK_FALSE(scratch.exists(""));
  CHECK(apply_error(scratch.plan("/a/cgroup.procs")).find("not a directory") != std::string::npos);
  CHECK_FALSE(scratch.exists(""));
}

TEST_CASE("an optional cgroup that is not permitted is left out", "[cgroup]") {
  if (::geteuid() != 0) {
    WARN("skipped: needs root to become somebody else");
    return;
  }
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  Plan plan = scratch.plan("/a");
  const sys::Child child = sys::spawn({}, [&] {
    if (::setresuid(1000, 1000, 1000) != 0) return 9;
    const std::string refusal = apply_error(plan);
    if (refusal.find(": permission denied") == std::string::npos) return 1;
    plan.optional = true;
    return apply_in_parent(plan).directory ? 2 : 0;
  });
  CHECK(sys::wait_for(child.pidfd).code == 0);
}

TEST_CASE("processes are those of every cgroup below", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd top = scratch.make("");
  CHECK(processes(scratch.directory("")).empty());
  Sleeper in_top(top);
  const sys::Fd below = scratch.make("/a/b");
  Sleeper in_below(below);
  std::vector<int> expected = {in_top.pid(), in_below.pid()};
  std::ranges::sort(expected);
  CHECK(processes(scratch.directory("")) == expected);
  CHECK(processes(scratch.directory("/a")) == std::vector<int>{in_below.pid()});
}

TEST_CASE("killing reaches everything below, frozen or not", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd top = scratch.make("");
  const sys::Fd below = scratch.make("/a/b");
  Sleeper in_top(top);
  Sleeper in_below(below);
  set_frozen(scratch.directory(""), true, 2000);
  kill_all(scratch.directory(""));
  CHECK(await_empty(scratch.directory(""), 2000));
  CHECK(in_top.has_ended());
  CHECK(in_below.has_ended());
}

TEST_CASE("a threaded cgroup, which has no cgroup.kill to write, is killed one by one",
          "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd top = scratch.make("");
  const sys::Fd inner = scratch.make("/a");
  scratch.write("/a/cgroup.type", "threaded");
  Sleeper sleeper(top);
  scratch.write("/a/cgroup.procs", std::to_string(sleeper.pid()));
  CHECK(processes(scratch.directory("/a")) == std::vector<int>{sleeper.pid()});
  kill_all(scratch.directory("/a"));
  CHECK(await_empty(scratch.directory("/a"), 2000));
  CHECK(sleeper.has_ended());
  CHECK_FALSE(is_frozen(scratch.directory("/a")));
}

TEST_CASE("waiting for an inhabited cgroup to empty ends in time", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd top = scratch.make("");
  Sleeper sleeper(top);
  CHECK_FALSE(await_empty(scratch.directory(""), 10));
  sleeper.end();
  CHECK(await_empty(scratch.directory(""), 2000));
}

TEST_CASE("removing takes everything below along, deeper than a path can say", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  sys::Fd current = scratch.make("");
  const std::string name(60, 'x');
  for (int depth = 0; depth < 100; ++depth) {
    REQUIRE(sys::make_directory(current, name, 0755));
    REQUIRE(sys::make_directory(current, "aside", 0755));
    current = sys::open_at(current, name, O_RDONLY | O_DIRECTORY);
  }
  current.reset();
  CHECK(remove(scratch.directory("")));
  CHECK_FALSE(scratch.exists(""));
}

TEST_CASE("removing waits for processes that are on their way out", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd top = scratch.make("");
  const sys::Fd below = scratch.make("/a");
  Sleeper in_top(top);
  Sleeper in_below(below);
  kill_all(scratch.directory(""));
  CHECK(remove(scratch.directory("")));
  CHECK_FALSE(scratch.exists(""));
}

TEST_CASE("removing an inhabited cgroup ends in time, and keeps it", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd below = scratch.make("/a");
  Sleeper sleeper(below);
  CHECK_FALSE(remove(scratch.directory(""), 10));
  CHECK(scratch.exists("/a"));
}

TEST_CASE("freezing stops everything below until it is thawed", "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd below = scratch.make("/a");
  Sleeper sleeper(below);
  CHECK_FALSE(is_frozen(scratch.directory("")));
  set_frozen(scratch.directory(""), true, 2000);
  CHECK(is_frozen(scratch.directory("")));
  CHECK(is_frozen(scratch.directory("/a")));
  set_frozen(scratch.directory(""), false, 2000);
  CHECK_FALSE(is_frozen(scratch.directory("/a")));
}

TEST_CASE("what cannot be thawed because of a frozen cgroup above is an error in time",
          "[cgroup]") {
  const Host host = probe_host({});
  if (!test::can_make_cgroups(host)) return;
  CgroupScratch scratch(host);
  const sys::Fd below = scratch.make("/a");
  Sleeper sleeper(below);
  set_frozen(scratch.directory(""), true, 2000);
  CHECK_THROWS_WITH(set_frozen(scratch.directory("/a"), false, 10),
                    scratch.directory("/a") + " has not thawed within 10 ms");
}

TEST_CASE("freezing what is gone is an error", "[cgroup]") {
  CHECK_THROWS_AS(set_frozen("/sys/fs/cgroup/no-such-cgroup", true, 10), Error);
}

}  // namespace
}  // namespace tare::cgroup
