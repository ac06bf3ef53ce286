#include "sys/uts.hpp"

#include <unistd.h>

#include <cerrno>

#include "sys/describe.hpp"

namespace tare::sys {

void set_host_name(const std::string& name) {
  if (::sethostname(name.data(), name.size()) < 0) raise(errno, "sethostname \"{}\"", name);
}

void set_domain_name(const std::string& name) {
  if (::setdomainname(name.data(), name.size()) < 0) raise(errno, "setdomainname \"{}\"", name);
}

}  // namespace tare::sys
