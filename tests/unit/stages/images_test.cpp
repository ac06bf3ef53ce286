#include "stages/images.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>

#include "../../scratch.hpp"
#include "tare/error.hpp"

namespace tare::stages {
namespace {

mode_t mode_of(const std::string& path) {
  const sys::Fd file = sys::open_at(sys::FdRef::cwd(), path, O_PATH);
  return sys::status(file).st_mode;
}

TEST_CASE("the image directory is made with those above it, for its owner only", "[images]") {
  const test::Scratch scratch;
  const ImageRequest request{.image_path = scratch.path("a/b"), .work_path = scratch.path("work")};
  const ImagePaths paths = make_image_paths(request);
  CHECK(paths.images_made);
  CHECK(mode_of(scratch.path("a/b")) == (S_IFDIR | 0700U));
  CHECK(mode_of(scratch.path("work")) == (S_IFDIR | 0700U));
  CHECK(paths.images.number() != paths.work.number());
}

TEST_CASE("an image directory that was there is not called made", "[images]") {
  const test::Scratch scratch;
  CHECK_FALSE(make_image_paths({.image_path = scratch.path()}).images_made);
}

TEST_CASE("without a work directory the logs are beside the images", "[images]") {
  const test::Scratch scratch;
  const ImagePaths paths = open_image_paths({.image_path = scratch.path()});
  CHECK(paths.work_path == scratch.path());
  CHECK(sys::status(paths.work).st_ino == sys::status(paths.images).st_ino);
}

TEST_CASE("an image directory that is missing is not made by who reads it", "[images]") {
  const test::Scratch scratch;
  CHECK_THROWS_WITH(open_image_paths({.image_path = scratch.path("none")}),
                    Catch::StartsWith("image directory: "));
  CHECK_FALSE(scratch.has("none"));
}

TEST_CASE("a file in the place of the image directory is an error", "[images]") {
  const test::Scratch scratch;
  const std::string file = scratch.write("file", "");
  CHECK_THROWS_WITH(make_image_paths({.image_path = file}), Catch::Contains("not a directory"));
}

TEST_CASE("what checkpoint and restore are told goes to criu as it is", "[images]") {
  const test::Scratch scratch;
  const ImageRequest request{.image_path = scratch.path(),
                             .tcp_established = true,
                             .file_locks = true,
                             .cgroup_mode = "strict",
                             .network_lock = "skip"};
  const ImagePaths paths = open_image_paths(request);
  const criu::Options options =
      options_of(request, paths, {{"org.criu.config", "/etc/criu/mine.conf"}});
  CHECK(options.images_directory == paths.images.number());
  CHECK(options.work_directory == paths.work.number());
  CHECK(options.tcp_established);
  CHECK_FALSE(options.tcp_close);
  CHECK(options.file_locks);
  CHECK_FALSE(options.shell_job);
  CHECK(options.cgroup_mode == criu::CgroupMode::strict);
  CHECK(options.network_lock == criu::NetworkLock::skip);
  CHECK(options.config_file == "/etc/criu/mine.conf");
}

TEST_CASE("a mode that criu does not have is refused", "[images]") {
  const test::Scratch scratch;
  const ImageRequest request{.image_path = scratch.path(), .cgroup_mode = "nonesuch"};
  CHECK_THROWS_AS(options_of(request, open_image_paths(request), {}), Error);
}

}  // namespace
}  // namespace tare::stages
