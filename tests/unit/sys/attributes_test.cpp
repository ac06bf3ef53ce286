#include "sys/attributes.hpp"

#include <sched.h>

#include <catch2/catch.hpp>
#include <cerrno>

#include "sys/process.hpp"
#include "tare/error.hpp"

using namespace tare;  // NOLINT(google-build-using-namespace)

namespace {

// What a call that must fail says.
template <typename Call>
Error fault_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return {ErrorKind::internal, "nothing was wrong"};
}

// A pid that names nobody: its process was reaped.
pid_t gone() {
  const sys::Child child = sys::spawn({}, [] { return 0; });
  sys::wait_for(child.pidfd);
  return child.pid;
}

}  // namespace

TEST_CASE("attributes: a failed call tells what it was given", "[attributes]") {
  const pid_t nobody = gone();
  const std::string pid = std::to_string(nobody);
  CHECK_THAT(fault_of([&] { sys::set_scheduling(nobody, {.policy = 3, .nice = 4}); }).message(),
             Catch::StartsWith("sched_setattr(" + pid + ", policy 3, flags 0x0, nice 4, "));
  CHECK_THAT(fault_of([&] { sys::set_io_priority(nobody, 2, 5); }).message(),
             Catch::StartsWith("ioprio_set(" + pid + ", class 2, level 5)"));
  const sys::NumberMask mask{0x8f};
  CHECK_THAT(fault_of([&] { sys::set_affinity(nobody, mask); }).message(),
             Catch::StartsWith("sched_setaffinity(" + pid + ", 8f)"));
  CHECK(fault_of([&] { sys::set_affinity_to_all(nobody); }).errno_value() == ESRCH);
  CHECK_THAT(fault_of([&] { sys::set_memory_policy(99, mask); }).message(),
             Catch::StartsWith("set_mempolicy(0x63, 8f)"));
}

TEST_CASE("attributes: a policy that is set is the one that the kernel tells of", "[attributes]") {
  const sys::Child child = sys::spawn({}, [] {
    sys::set_scheduling(0, {.policy = SCHED_BATCH, .flags = 1, .nice = 3});
    return ::sched_getscheduler(0);
  });
  CHECK(sys::wait_for(child.pidfd).code == ((SCHED_BATCH | SCHED_RESET_ON_FORK) & 0xff));
}
