/// hostname and domainname (config.md, "Hostname", "Domainname"): set in init, in its own UTS
/// namespace.
#pragma once

#include <string>

#include "features/explain.hpp"
#include "features/namespaces.hpp"
#include "spec/reader.hpp"

namespace tare::hostname {

struct Spec {
  std::string host{};
  std::string domain{};
};

struct Plan {
  std::string host{};    ///< empty: left as it is
  std::string domain{};  ///< empty: left as it is
  bool operator==(const Plan&) const = default;
};

/// Reads from the top of config.json.
Spec read(const spec::Reader& top);
/// Throws Error(spec) "unable to set hostname without a private UTS namespace", and for names
/// over 64.
Plan plan(const Spec& spec, const namespaces::Plan& namespaces);
void apply_in_init(const Plan& plan);
void explain(const Plan& plan, Explain& out);

}  // namespace tare::hostname
