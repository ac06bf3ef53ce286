#include "features/memory_policy.hpp"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/process.hpp"

namespace tare::memory_policy {
namespace {

Plan read_text(const std::string& policy) {
  const spec::Document document("config.json", R"({"memoryPolicy": )" + policy + "}");
  return read(document.top());
}

TEST_CASE("every mode is read with its nodes and flags", "[memory_policy]") {
  CHECK(read_text(R"({"mode": "MPOL_DEFAULT"})") == Plan{.enabled = true, .mode = 0});
  CHECK(read_text(R"({"mode": "MPOL_LOCAL", "nodes": "", "flags": []})") ==
        Plan{.enabled = true, .mode = 4});
  CHECK(read_text(R"({"mode": "MPOL_PREFERRED"})") == Plan{.enabled = true, .mode = 1});
  CHECK(read_text(R"({"mode": "MPOL_PREFERRED", "nodes": "1",
                      "flags": ["MPOL_F_RELATIVE_NODES"]})") ==
        Plan{.enabled = true, .mode = 1, .flags = MPOL_F_RELATIVE_NODES, .nodes = {2}});
  CHECK(read_text(R"({"mode": "MPOL_BIND", "nodes": "0-3,7",
                      "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_NUMA_BALANCING"]})") ==
        Plan{.enabled = true,
             .mode = 2,
             .flags = MPOL_F_STATIC_NODES | MPOL_F_NUMA_BALANCING,
             .nodes = {0x8f}});
  CHECK(read_text(R"({"mode": "MPOL_INTERLEAVE", "nodes": "1024"})").nodes.size() == 17);
  CHECK(read_text(R"({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"})").mode == 5);
  CHECK(read_text(R"({"mode": "MPOL_WEIGHTED_INTERLEAVE", "nodes": "0"})").mode == 6);
  CHECK(read_text("null") == Plan{});
}

TEST_CASE("a memory policy that no kernel takes is refused before", "[memory_policy]") {
  const auto [text, words] = GENERATE(table<std::string, std::string>({
      {"{}", "invalid memory policy mode \"\""},
      {R"({"mode": "INTERLEAVE", "nodes": "0"})", "invalid memory policy mode \"INTERLEAVE\""},
      {R"({"mode": 2})", "expected"},
      {R"({"mode": "MPOL_BIND", "nodes": 0})", "expected"},
      {R"({"mode": "MPOL_BIND", "nodes": "a"})", "invalid memory policy nodes \"a\""},
      {R"({"mode": "MPOL_BIND", "nodes": "32768"})", "invalid memory policy nodes \"32768\""},
      {R"({"mode": "MPOL_BIND", "nodes": "0", "flags": ["x"]})",
       "invalid memory policy flag \"x\""},
      {R"({"mode": "MPOL_BIND"})", "mode requires at least one node but got 0: MPOL_BIND"},
      {R"({"mode": "MPOL_INTERLEAVE", "nodes": ""})", "requires at least one node"},
      {R"({"mode": "MPOL_PREFERRED_MANY"})", "requires at least one node"},
      {R"({"mode": "MPOL_WEIGHTED_INTERLEAVE"})", "requires at least one node"},
      {R"({"mode": "MPOL_DEFAULT", "nodes": "0-7"})", "mode requires 0 nodes but got 8"},
      {R"({"mode": "MPOL_LOCAL", "nodes": "0"})", "mode requires 0 nodes but got 1: MPOL_LOCAL"},
      {R"({"mode": "MPOL_BIND", "nodes": "0",
           "flags": ["MPOL_F_STATIC_NODES", "MPOL_F_RELATIVE_NODES"]})",
       "exclude each other"},
      {R"({"mode": "MPOL_PREFERRED", "flags": ["MPOL_F_STATIC_NODES"]})", "need nodes to act on"},
      {R"({"mode": "MPOL_LOCAL", "flags": ["MPOL_F_RELATIVE_NODES"]})", "need nodes to act on"},
      {R"({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]})",
       "not for MPOL_INTERLEAVE"},
  }));
  CAPTURE(text);
  try {
    read_text(text);
    FAIL("taken");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::spec);
    CHECK_THAT(error.message(), Catch::Contains(words));
    CHECK_THAT(error.field(), Catch::StartsWith("/memoryPolicy"));
  }
}

// The mode and flags that a process has once the plan is applied to it, or minus the errno.
int policy_after(const Plan& plan) {
  const sys::Child child = sys::spawn({}, [&plan] {
    try {
      apply(plan);
    } catch (const Error& error) {
      const bool told = error.field() == "/linux/memoryPolicy" && !error.hint().empty();
      return told ? 100 + error.errno_value() : 250;
    }
    int mode = -1;
    const long result = ::syscall(SYS_get_mempolicy, &mode, nullptr, 0, nullptr, 0);
    return result == 0 ? mode & 0xff : 251;
  });
  return sys::wait_for(child.pidfd).code;
}

bool kernel_has_policies() {
  return ::syscall(SYS_get_mempolicy, nullptr, nullptr, 0, nullptr, 0) == 0;
}

TEST_CASE("the policy that is planned is the one that the process has", "[memory_policy]") {
  if (!kernel_has_policies()) {
    WARN("skipped: a kernel without NUMA");
    return;
  }
  CHECK(policy_after({}) == MPOL_DEFAULT);
  CHECK(policy_after({.enabled = true, .mode = MPOL_BIND, .nodes = {1}}) == MPOL_BIND);
  CHECK(policy_after({.enabled = true, .mode = MPOL_LOCAL}) == MPOL_LOCAL);
  // A mask with words beyond the kernel's last node, all of them empty.
  CHECK(policy_after({.enabled = true, .mode = MPOL_INTERLEAVE, .nodes = {1, 0, 0, 0, 0}}) ==
        MPOL_INTERLEAVE);
}

TEST_CASE("a node that the machine has not is an error with a hint", "[memory_policy]") {
  if (!kernel_has_policies()) {
    WARN("skipped: a kernel without NUMA");
    return;
  }
  sys::NumberMask far(512);
  far.back() = 1UL << 63U;
  CHECK(policy_after({.enabled = true, .mode = MPOL_BIND, .nodes = far}) == 100 + EINVAL);
}

TEST_CASE("the policy is explained in the words of the config", "[memory_policy]") {
  Explain out;
  explain({}, out);
  CHECK(out.effects().empty());
  explain({.enabled = true, .mode = MPOL_LOCAL}, out);
  explain({.enabled = true, .mode = MPOL_BIND, .flags = MPOL_F_STATIC_NODES, .nodes = {0x8f}}, out);
  REQUIRE(out.effects().size() == 2);
  CHECK(out.effects()[0].text == "set MPOL_LOCAL");
  CHECK(out.effects()[1].text == "set MPOL_BIND on nodes 0-3,7, MPOL_F_STATIC_NODES");
}

TEST_CASE("the words for `features` are all that are read", "[memory_policy]") {
  CHECK(known_modes().size() == 7);
  CHECK(known_flags().size() == 3);
  for (const std::string& mode : known_modes()) {
    const bool takes_none = mode == "MPOL_DEFAULT" || mode == "MPOL_LOCAL";
    CHECK_NOTHROW(
        read_text(R"({"mode": ")" + mode + R"(", "nodes": ")" + (takes_none ? "" : "0") + "\"}"));
  }
}

}  // namespace
}  // namespace tare::memory_policy
