#include "features/cgroup_write.hpp"

#include <fcntl.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "../../scratch.hpp"
#include "sys/file.hpp"

namespace tare::cgroup_resources {
namespace {

TEST_CASE("a file's controller is what stands before its dot", "[cgroup_write]") {
  Spec spec;
  add(spec, "memory.swap.max", "1", "/a");
  add(spec, "cgroup.max.depth", "2", "/b");
  CHECK(spec.writes[0].controller == "memory");
  CHECK(spec.writes[1].controller.empty());
}

TEST_CASE("a value goes to the other file only where the first is missing", "[cgroup_write]") {
  const test::Scratch scratch;
  const Write write{.file = "first", .value = "1", .fallback_file = "other", .fallback_value = "2"};
  CHECK(put(scratch.fd(), write) == ENOENT);
  scratch.write("other", "");
  CHECK(put(scratch.fd(), write) == 0);
  CHECK(scratch.read("other") == "2");
  scratch.write("first", "");
  CHECK(put(scratch.fd(), write) == 0);
  CHECK(scratch.read("first") == "1");
}

TEST_CASE("a refusal names file, value, field and the reason", "[cgroup_write]") {
  const Write write{.controller = "io",
                    .file = "io.max",
                    .value = "8:0 rbps=1",
                    .pointer = "/blockIO/throttleReadBpsDevice/0"};
  const Error error = refusal(ENODEV, write, "/sys/fs/cgroup/a");
  CHECK(error.message() == "write \"8:0 rbps=1\" to /sys/fs/cgroup/a/io.max: no such device");
  CHECK(error.field() == write.pointer);
  CHECK(error.hint() == "this machine has no such device");
  CHECK(refusal(EACCES, write, "/x").hint().find("delegate") != std::string::npos);
  CHECK(refusal(EINVAL, write, "/x").hint().empty());
}

}  // namespace
}  // namespace tare::cgroup_resources
