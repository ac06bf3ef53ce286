/// The two names that a UTS namespace has (uts_namespaces(7)).
#pragma once

#include <string>

namespace tare::sys {

/// sethostname(2). Throws Error(system).
void set_host_name(const std::string& name);

/// setdomainname(2): the NIS domain name, not DNS's. Throws Error(system).
void set_domain_name(const std::string& name);

}  // namespace tare::sys
