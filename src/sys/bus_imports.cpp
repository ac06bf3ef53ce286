// What libdbus calls in place of the C library's: src/meson.build renames these imports in Debian's
// archive. A client of a Unix socket needs none of the name services, which a static binary could
// only load from the file system that it stands in (CVE-2019-14271); that they are not even linked
// is how we know.
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstddef>
#include <string>

#include "sys/file.hpp"
#include "tare/error.hpp"

struct passwd;
struct group;
struct addrinfo;
struct sockaddr;

namespace tare::sys {
namespace {

// The other end sees this process with the credentials of its own user namespace (SO_PEERCRED), and
// refuses a client that claims another uid: for the root of a user namespace that is the uid that 0
// is mapped to, the first number of the second column of uid_map (user_namespaces(7)).
uid_t uid_outside(uid_t inside) {
  const std::string map = read_file(FdRef::cwd(), "/proc/self/uid_map");
  const char* at = map.data();
  const char* const end = at + map.size();
  const auto next = [&at, end] {
    while (at < end && (*at == ' ' || *at == '\n')) ++at;
    unsigned long number = 0;
    at = std::from_chars(at, end, number).ptr;
    return number;
  };
  while (at < end) {
    const unsigned long first = next();
    const unsigned long outside = next();
    const unsigned long count = next();
    if (inside >= first && inside - first < count) {
      return static_cast<uid_t>(outside + (inside - first));
    }
  }
  return inside;
}

}  // namespace
}  // namespace tare::sys

namespace {

constexpr int kResolverFails = -4;  // EAI_FAIL

}  // namespace

extern "C" {

uid_t tare_bus_geteuid() {
  try {
    return tare::sys::uid_outside(geteuid());
  } catch (const tare::Error&) {
    return geteuid();
  }
}

int tare_bus_no_user(const char*, passwd*, char*, std::size_t, passwd** found) {
  *found = nullptr;
  return ENOENT;
}

int tare_bus_no_uid(uid_t, passwd*, char*, std::size_t, passwd** found) {
  *found = nullptr;
  return ENOENT;
}

int tare_bus_no_groups(const char*, gid_t, gid_t*, int* count) {
  *count = 0;
  return 0;
}

int tare_bus_no_address(const char*, const char*, const addrinfo*, addrinfo** found) {
  *found = nullptr;
  return kResolverFails;
}

void tare_bus_no_release(addrinfo*) {}

const char* tare_bus_no_reason(int) {
  return "names are not looked up";
}

int tare_bus_no_name(const sockaddr*, unsigned, char*, unsigned, char*, unsigned, int) {
  return kResolverFails;
}

// Socket activation is for servers.
int sd_listen_fds(int) {
  return 0;
}

int sd_is_socket(int, int, int, int) {
  return 0;
}

}  // extern "C"
