#include "features/cgroup_memory.hpp"

#include <catch2/catch.hpp>

namespace tare::cgroup_memory {
namespace {

using cgroup_resources::Spec;

Spec read_text(const std::string& resources) {
  const spec::Document document("resources", resources);
  Spec spec;
  read(document.top(), {}, spec);
  return spec;
}

Error read_error(const std::string& resources) {
  try {
    read_text(resources);
  } catch (const Error& error) {
    return error;
  }
  return Error(ErrorKind::internal, "nothing was wrong");
}

// "memory.max=1; memory.low=2": what would be written, in its order.
std::string writes(const std::string& resources) {
  std::string text;
  for (const cgroup_resources::Write& write : read_text(resources).writes) {
    text += (text.empty() ? "" : "; ") + write.file + "=" + write.value;
  }
  return text;
}

TEST_CASE("memory limits, with 0 for unset and -1 for none", "[cgroup_memory]") {
  CHECK(writes(R"({"memory": {"limit": 1048576}})") == "memory.max=1048576");
  CHECK(writes(R"({"memory": {"limit": 0}})").empty());
  CHECK(writes(R"({"memory": {"reservation": 7}})") == "memory.low=7");
  CHECK(writes(R"({"memory": {"reservation": -1}})") == "memory.low=max");
  CHECK(writes(R"({"memory": {"limit": 9223372036854775807}})") ==
        "memory.max=9223372036854775807");
}

TEST_CASE("swap is what memory+swap leaves above the memory limit", "[cgroup_memory]") {
  struct Case {
    const char* memory;
    const char* swap;
    const char* expected;
  };
  const Case cases[] = {
      {"100", "300", "memory.swap.max=200; memory.max=100"},
      {"100", "100", "memory.swap.max=0; memory.max=100"},
      {"100", "0", "memory.max=100"},
      {"100", "-1", "memory.swap.max=max; memory.max=100"},
      {"-1", "0", "memory.swap.max=max; memory.max=max"},
      {"-1", "-1", "memory.swap.max=max; memory.max=max"},
      {"-1", "300", "memory.swap.max=300; memory.max=max"},
      {"0", "-1", "memory.swap.max=max"},
      {"0", "0", ""},
  };
  for (const Case& row : cases) {
    CAPTURE(row.memory, row.swap);
    CHECK(writes(std::string(R"({"memory": {"limit": )") + row.memory + R"(, "swap": )" + row.swap +
                 "}}") == row.expected);
  }
}

TEST_CASE("a swap limit that makes no sense is refused in runc's words", "[cgroup_memory]") {
  CHECK(read_error(R"({"memory": {"swap": 100}})").message() ==
        "resources /memory: unable to set swap limit without memory limit");
  CHECK(read_error(R"({"memory": {"limit": 100, "swap": 99}})").message() ==
        "resources /memory: memory+swap limit should be >= memory limit");
  CHECK(read_error(R"({"memory": {"limit": -2}})").field() == "/memory/limit");
  CHECK(read_error(R"({"memory": {"limit": "1g"}})").kind() == ErrorKind::spec);
}

TEST_CASE("only an unlimited or absent swap may have no file", "[cgroup_memory]") {
  const auto first = [](const char* text) { return read_text(text).writes.at(0); };
  CHECK(first(R"({"memory": {"limit": 1, "swap": 1}})").may_be_missing);
  CHECK(first(R"({"memory": {"limit": 1, "swap": -1}})").may_be_missing);
  CHECK_FALSE(first(R"({"memory": {"limit": 1, "swap": 2}})").may_be_missing);
  CHECK_FALSE(first(R"({"memory": {"limit": -1, "swap": 2}})").may_be_missing);
}

TEST_CASE("checkBeforeUpdate remembers what is to be compared", "[cgroup_memory]") {
  const Spec spec =
      read_text(R"({"memory": {"limit": 100, "swap": 300, "checkBeforeUpdate": true}})");
  CHECK(spec.checks ==
        std::vector<cgroup_resources::UsageCheck>{{"memory+swap limit", 300, "/memory/swap"},
                                                  {"memory limit", 100, "/memory/limit"}});
  CHECK(read_text(R"({"memory": {"limit": 100}})").checks.empty());
}

}  // namespace
}  // namespace tare::cgroup_memory
