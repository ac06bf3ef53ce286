#include <fcntl.h>

#include <catch2/catch.hpp>
#include <filesystem>

#include "../../scratch.hpp"
#include "features/mounts.hpp"

namespace tare::mounts {
namespace {

// What an Error says, and the field that it blames.
std::string failure(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.field() + " " + error.message();
  }
  return "nothing failed";
}

sys::Root root_of(const test::Scratch& scratch) {
  return sys::Root(sys::open_at(scratch.fd(), ".", O_PATH | O_DIRECTORY));
}

}  // namespace

TEST_CASE("mounts: the parent opens binds only, and has an entry for each mount", "[mounts]") {
  const Plan plan{.mounts = {{.kind = Kind::filesystem, .destination = "/p", .type = "proc"},
                             {.kind = Kind::inner_bind, .destination = "/d", .source = "/x"},
                             {.kind = Kind::remount, .destination = "/p"}}};
  const Sources sources = open_sources(plan);
  REQUIRE(sources.size() == 3);
  for (const sys::Fd& source : sources) CHECK_FALSE(source);
  CHECK(open_sources({}).empty());
}

TEST_CASE("mounts: a source that cannot be opened is told with its mount and field", "[mounts]") {
  const Plan plan{.mounts = {{.kind = Kind::bind,
                              .destination = "/d",
                              .source = "/none/of/this",
                              .pointer = "/mounts/0"}}};
  CHECK(failure([&] { open_sources(plan); })
            .starts_with("/mounts/0 error mounting \"/none/of/this\" to rootfs at \"/d\": "
                         "open_tree /none/of/this: "));
}

TEST_CASE("mounts: what init cannot find is told with its mount and field", "[mounts]") {
  const test::Scratch scratch;
  const sys::Root root = root_of(scratch);
  for (const Kind kind : {Kind::inner_bind, Kind::remount}) {
    const Plan plan{
        .mounts = {
            {.kind = kind, .destination = "/none", .source = "/none", .pointer = "/mounts/0"}}};
    const std::string said = failure([&] { apply_in_init(plan, root, Sources(1)); });
    CHECK(
        said.starts_with("/mounts/0 error mounting \"/none\" to rootfs at \"/none\": open /none"));
    CHECK(said.ends_with("no such file or directory"));
  }
}

TEST_CASE("mounts: without mounts nothing is made and /dev is the rootfs's", "[mounts]") {
  const test::Scratch scratch;
  const Made made = apply_in_init({}, root_of(scratch), {});
  CHECK_FALSE(made.dev);
  CHECK_FALSE(made.devpts);
  CHECK(made.late_readonly.empty());
  CHECK_NOTHROW(finish_in_init(made));
}

TEST_CASE("mounts: a link that is to be copied is kept as it is until then", "[mounts]") {
  const test::Scratch scratch;
  std::filesystem::create_symlink("/leads/nowhere", scratch.path("link"));
  std::filesystem::create_directories(scratch.path("root"));
  const sys::Root root(sys::open_at(scratch.fd(), "root", O_PATH | O_DIRECTORY));
  const Plan plan{.mounts = {{.kind = Kind::bind,
                              .destination = "/a/copy",
                              .source = scratch.path("link"),
                              .options = {.bind = true, .copy_link = true}}}};
  Sources sources = open_sources(plan);
  REQUIRE(sources.at(0));
  apply_in_init(plan, root, std::move(sources));
  CHECK(std::filesystem::read_symlink(scratch.path("root/a/copy")) == "/leads/nowhere");
}

TEST_CASE("mounts: a source within the rootfs does not lead out of it", "[mounts]") {
  const test::Scratch scratch;
  std::filesystem::create_directories(scratch.path("root"));
  std::filesystem::create_symlink("/etc", scratch.path("root/out"));
  const sys::Root root(sys::open_at(scratch.fd(), "root", O_PATH | O_DIRECTORY));
  const Plan plan{.mounts = {{.kind = Kind::inner_bind,
                              .destination = "/d",
                              .source = "/out",
                              .pointer = "/mounts/0"}}};
  const std::string said = failure([&] { apply_in_init(plan, root, Sources(1)); });
  CHECK(said.starts_with("/mounts/0 error mounting \"/out\" to rootfs at \"/d\": open /out in"));
  CHECK(said.ends_with("no such file or directory"));
}

}  // namespace tare::mounts
