#include <fcntl.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "features/seccomp.hpp"
#include "scratch.hpp"

namespace tare::seccomp {
namespace {

Plan some_plan(std::uint32_t number = EPERM) {
  return {.enabled = true,
          .default_action = SCMP_ACT_ALLOW,
          .architectures = {SCMP_ARCH_X86_64},
          .flags = 4,
          .rules = {{.names = {"mkdir", "kill"},
                     .action = SCMP_ACT_ERRNO(number),
                     .arguments = {{.index = 1, .value = 2, .comparison = SCMP_CMP_EQ}}}}};
}

// The one file of a cache.
std::string only_file(const test::Scratch& cache) {
  const std::vector<std::string> names = sys::list_directory(cache.fd());
  REQUIRE(names.size() == 1);
  return names[0];
}

TEST_CASE("a filter is the same after it has been bytes", "[seccomp]") {
  const Filter filter = compile(some_plan());
  CHECK(filter.flags == 4);
  CHECK(Filter::decode(filter.encode()) == filter);
}

TEST_CASE("bytes that are no filter are refused, however close they come", "[seccomp]") {
  const std::string good = compile(some_plan()).encode();
  std::vector<std::string> bad = {"",
                                  "tare filter 1\n",
                                  good.substr(0, good.size() - 8),
                                  good.substr(0, good.size() - 1),
                                  good + std::string(8, '\0'),
                                  "x" + good.substr(1)};
  for (std::size_t at = 0; at < good.size(); at += 7) {
    // All but the flags, which are a number like any other.
    if (at >= 14 && at < 22) continue;
    std::string flipped = good;
    flipped[at] = static_cast<char>(flipped[at] ^ 0x10);
    bad.push_back(std::move(flipped));
  }
  for (const std::string& bytes : bad) {
    try {
      Filter::decode(bytes);
      FAIL("taken: " << bytes.size() << " bytes");
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::internal);
    }
  }
}

TEST_CASE("the second time a filter comes from the cache", "[seccomp]") {
  const test::Scratch cache;
  const std::string compiled = compile(some_plan()).encode();
  CHECK(compile_cached(some_plan(), cache.fd()) == compiled);
  const std::string name = only_file(cache);
  CHECK(name.size() == 16);
  CHECK((sys::find_status(cache.fd(), name)->st_mode & 0777) == 0600);
  // Another filter under the same plan shows where the answer comes from.
  const std::string other = compile(some_plan(ENOSYS)).encode();
  const std::string bytes = cache.read(name);
  cache.write(name, bytes.substr(0, bytes.size() - compiled.size()) + other);
  CHECK(compile_cached(some_plan(), cache.fd()) == other);
}

TEST_CASE("every part of a plan counts for the cache", "[seccomp]") {
  const test::Scratch cache;
  std::vector<Plan> plans(11, some_plan());
  plans[1].default_action = SCMP_ACT_LOG;
  plans[2].architectures.push_back(SCMP_ARCH_X86);
  plans[3].flags = 2;
  plans[4].rules[0].names.pop_back();
  plans[5].rules[0].names = {"mkdirkill"};
  plans[6].rules[0].action = SCMP_ACT_ERRNO(5);
  plans[7].rules[0].arguments[0].index = 0;
  plans[8].rules[0].arguments[0].value_two = 1;
  plans[9].rules.push_back(plans[9].rules[0]);
  plans[10].rules[0].names = {"mkdi", "rkill"};
  for (const Plan& plan : plans) CHECK(compile_cached(plan, cache.fd()) == compile(plan).encode());
  CHECK(sys::list_directory(cache.fd()).size() == plans.size());
}

TEST_CASE("damage to a cached file is a miss, and is mended", "[seccomp]") {
  const test::Scratch cache;
  const std::string compiled = compile_cached(some_plan(), cache.fd());
  const std::string name = only_file(cache);
  const std::string good = cache.read(name);
  std::string flipped = good;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  std::string other_plan = good;
  other_plan[20] = static_cast<char>(other_plan[20] ^ 1);
  for (const std::string& bytes :
       {std::string(), good.substr(0, good.size() / 2), good.substr(0, good.size() - 8), flipped,
        other_plan, std::string(2U << 20U, 'x')}) {
    cache.write(name, bytes);
    CHECK(compile_cached(some_plan(), cache.fd()) == compiled);
    CHECK(cache.read(name) == good);
  }
}

TEST_CASE("what else lies under a cached file's name is neither followed nor waited for",
          "[seccomp]") {
  const test::Scratch cache;
  const std::string compiled = compile_cached(some_plan(), cache.fd());
  const std::string name = only_file(cache);
  const std::string good = cache.read(name);
  // A valid file of another plan's filter beyond a link would be taken if the link were followed.
  const std::string lure =
      good.substr(0, good.size() - compiled.size()) + compile(some_plan(ENOSYS)).encode();
  const test::Scratch elsewhere;
  elsewhere.write("lure", lure);
  sys::remove_file(cache.fd(), name);
  sys::make_symlink(elsewhere.path("lure"), cache.fd(), name);
  CHECK(compile_cached(some_plan(), cache.fd()) == compiled);
  CHECK(elsewhere.read("lure") == lure);
  sys::remove_file(cache.fd(), name);
  sys::make_node(cache.fd(), name, S_IFIFO | 0600, 0);
  CHECK(compile_cached(some_plan(), cache.fd()) == compiled);
  CHECK(cache.read(name) == good);
}

TEST_CASE("a cache that cannot be written to is no error", "[seccomp]") {
  const std::string compiled = compile(some_plan()).encode();
  const sys::Fd proc = sys::open_at(sys::FdRef::cwd(), "/proc/self", O_DIRECTORY);
  CHECK(compile_cached(some_plan(), proc) == compiled);
  const test::Scratch cache;
  const std::string gone = cache.path("gone");
  sys::make_directory(cache.fd(), "gone", 0700);
  const sys::Fd removed = sys::open_at(cache.fd(), "gone", O_DIRECTORY);
  sys::remove_directory(cache.fd(), "gone");
  CHECK(compile_cached(some_plan(), removed) == compiled);
}

TEST_CASE("a cache is emptied before it grows without bound", "[seccomp]") {
  const test::Scratch cache;
  for (std::uint32_t number = 1; number <= 200; ++number) {
    compile_cached(some_plan(number), cache.fd());
  }
  CHECK(sys::list_directory(cache.fd()).size() <= 128);
  CHECK(compile_cached(some_plan(200), cache.fd()) == compile(some_plan(200)).encode());
}

}  // namespace
}  // namespace tare::seccomp
