#include "features/hostname.hpp"

#include <fmt/core.h>

#include "sys/uts.hpp"

namespace tare::hostname {
namespace {

constexpr std::size_t kMaxLength = 64;  // __NEW_UTS_LEN, linux/utsname.h

// Without a namespace of the container's the name would be the host's, or the one of whoever shares
// it.
void check(const std::string& name, std::string_view what, const char* field,
           const namespaces::Plan& namespaces) {
  if (name.empty()) return;
  std::string problem;
  if (!namespaces.has(namespaces::Type::uts)) {
    problem = fmt::format("unable to set {} without a private UTS namespace", what);
  } else if (name.size() > kMaxLength) {
    problem = fmt::format("{} is longer than {} bytes", what, kMaxLength);
  }
  if (problem.empty()) return;
  Error error(ErrorKind::spec, std::move(problem));
  error.set_field(field);
  throw error;
}

}  // namespace

Spec read(const spec::Reader& top) {
  return {.host = top.string_or("hostname", ""), .domain = top.string_or("domainname", "")};
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces) {
  check(spec.host, "hostname", "/hostname", namespaces);
  check(spec.domain, "domainname", "/domainname", namespaces);
  return {.host = spec.host, .domain = spec.domain};
}

void apply_in_init(const Plan& plan) {
  asked_by([] { return "/hostname"; },
           [&] {
             if (!plan.host.empty()) sys::set_host_name(plan.host);
           });
  asked_by([] { return "/domainname"; },
           [&] {
             if (!plan.domain.empty()) sys::set_domain_name(plan.domain);
           });
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.host.empty()) {
    out.add("hostname", fmt::format("name the host \"{}\"", plan.host), "/hostname");
  }
  if (!plan.domain.empty()) {
    out.add("hostname", fmt::format("name the NIS domain \"{}\"", plan.domain), "/domainname");
  }
}

}  // namespace tare::hostname
