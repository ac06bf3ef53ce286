#include "features/capabilities.hpp"

#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/securebits.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "sys/credentials.hpp"

namespace tare::capabilities {
namespace {

// By number, as in linux/capability.h. Not libcap's cap_from_name: it would lower names on its own
// terms and take bare numbers.
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};
static_assert(kNames[CAP_LAST_CAP] == "CHECKPOINT_RESTORE");

constexpr std::string_view kPrefix = "CAP_";

constexpr Set bit(int number) {
  return Set{1} << static_cast<unsigned>(number);
}
constexpr Set all_up_to(int last) {
  return last >= 63 ? ~Set{0} : bit(last + 1) - 1;
}

// What the rest of set-up always needs: ids and groups, and the capability sets themselves.
constexpr Set kSetUpNeeds = bit(CAP_SETUID) | bit(CAP_SETGID) | bit(CAP_SETPCAP);

std::optional<int> number_of(std::string_view bare) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == bare) return static_cast<int>(i);
  }
  return std::nullopt;
}

char upper(char c) {
  return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
}

std::string names_of(Set set) {
  std::vector<std::string> names;
  for (int number = 0; number < static_cast<int>(kNames.size()); ++number) {
    if ((set & bit(number)) != 0)
      names.push_back(std::string(kPrefix) + std::string(kNames[static_cast<std::size_t>(number)]));
  }
  return names.empty() ? "none" : fmt::format("{}", fmt::join(names, " "));
}

Set read_set(const spec::Reader& capabilities, std::string_view key,
             std::vector<std::string>& unknown) {
  Set set = 0;
  const std::optional<spec::Reader> field = capabilities.find(key);
  if (!field) return set;
  for (const spec::Reader& item : field->items()) {
    const std::string name = item.string();
    // The specification has names only as capabilities(7) writes them.
    const bool prefixed = name.starts_with(kPrefix);
    const std::optional<int> number =
        prefixed ? number_of(std::string_view(name).substr(kPrefix.size())) : std::nullopt;
    if (number) {
      set |= bit(*number);
    } else if (std::find(unknown.begin(), unknown.end(), name) == unknown.end()) {
      unknown.push_back(name);
    }
  }
  return set;
}

// capset(2) refuses these with a bare EPERM; here the names can still be given.
void require_within(Set inner, Set outer, std::string_view inner_name,
                    std::string_view outer_name) {
  const Set excess = inner & ~outer;
  if (excess == 0) return;
  Error error(ErrorKind::spec,
              fmt::format("the {} set of capabilities has {}, which the {} set has not", inner_name,
                          names_of(excess), outer_name));
  error.set_field(fmt::format("/process/capabilities/{}", inner_name));
  throw error;
}

// In the words of runc, which its callers look for.
std::vector<std::string> warnings_of(const Spec& spec, const Plan& plan, Set known) {
  std::vector<std::string> warnings;
  std::vector<std::string> names = spec.unknown;
  const Set asked =
      spec.bounding | spec.effective | spec.inheritable | spec.permitted | spec.ambient;
  if ((asked & ~known) != 0) names.push_back(names_of(asked & ~known));
  if (!names.empty()) {
    warnings.push_back(
        fmt::format("ignoring unknown or unavailable capabilities: {}", fmt::join(names, " ")));
  }
  // Since CVE-2022-24769 engines leave the inheritable set empty, and some (buildah 1.28, for every
  // RUN) not the ambient one, which means nothing then: a warning would be of no one's mistake.
  if (plan.inheritable == 0) return warnings;
  const Set beyond = plan.ambient & ~(plan.permitted & plan.inheritable);
  for (int number = 0; beyond != 0 && number <= plan.last_capability; ++number) {
    if ((beyond & bit(number)) == 0) continue;
    warnings.push_back(
        fmt::format("can't raise ambient capability {}: it is not both permitted and inheritable",
                    names_of(bit(number))));
  }
  return warnings;
}

void drop_bounding_except(Set kept, int last) {
  for (int number = 0; number <= last; ++number) {
    if ((kept & bit(number)) == 0) sys::drop_from_bounding(number);
  }
}

// Any one capability that must not be in the bounding set, or nothing where all may.
std::optional<int> first_outside(Set bounding, int last) {
  for (int number = 0; number <= last; ++number) {
    if ((bounding & bit(number)) == 0) return number;
  }
  return std::nullopt;
}

void set_three(const Plan& plan) {
  try {
    sys::set_capabilities({.effective = plan.effective,
                           .permitted = plan.permitted,
                           .inheritable = plan.inheritable});
  } catch (Error& error) {
    // The kernel says only EPERM, for any of four rules (security/commoncap.c, cap_capset).
    const Set lacking = (plan.permitted | plan.inheritable) & ~sys::own_capabilities().permitted;
    error.set_field("/process/capabilities");
    if (lacking != 0) {
      error.set_hint(fmt::format("the caller itself lacks {}", names_of(lacking)));
    }
    throw;
  }
}

// KEEPCAPS off, and proof that nothing else is on: a bit left on would let the payload keep
// capabilities across a change of its user.
void clear_secure_bits() {
  unsigned bits = sys::secure_bits();
  if ((bits & SECBIT_KEEP_CAPS) != 0) {
    sys::set_keep_capabilities(false);
    bits &= ~static_cast<unsigned>(SECBIT_KEEP_CAPS);
  }
  if (bits != 0)
    throw Error(ErrorKind::internal, fmt::format("securebits {:#x} are still on", bits));
}

}  // namespace

Spec read(const spec::Reader& process) {
  const std::optional<spec::Reader> field = process.find("capabilities");
  if (!field) return {};
  Spec spec;
  spec.bounding = read_set(*field, "bounding", spec.unknown);
  spec.effective = read_set(*field, "effective", spec.unknown);
  spec.inheritable = read_set(*field, "inheritable", spec.unknown);
  spec.permitted = read_set(*field, "permitted", spec.unknown);
  spec.ambient = read_set(*field, "ambient", spec.unknown);
  return spec;
}

Plan plan(const Spec& spec, const Host& host) {
  const Set known = all_up_to(host.last_capability);
  Plan plan{.bounding = spec.bounding & known,
            .effective = spec.effective & known,
            .inheritable = spec.inheritable & known,
            .permitted = spec.permitted & known,
            .ambient = spec.ambient & known,
            .last_capability = host.last_capability};
  require_within(plan.effective, plan.permitted, "effective", "permitted");
  require_within(plan.inheritable, plan.bounding, "inheritable", "bounding");
  plan.warnings = warnings_of(spec, plan, known);
  // Anything more would be EPERM from PR_CAP_AMBIENT_RAISE.
  plan.ambient &= plan.permitted & plan.inheritable;
  return plan;
}

int parse_name(const std::string& name) {
  std::string bare = name;
  for (char& c : bare) c = upper(c);
  if (bare.starts_with(kPrefix)) bare.erase(0, kPrefix.size());
  const std::optional<int> number = number_of(bare);
  if (!number) throw Error(ErrorKind::usage, fmt::format("unknown capability \"{}\"", name));
  return *number;
}

std::vector<std::string> known_names() {
  std::vector<std::string> names;
  for (const std::string_view bare : kNames)
    names.push_back(std::string(kPrefix) + std::string(bare));
  return names;
}

void narrow(const Plan& plan, Set further) {
  const sys::CapabilitySets own = sys::own_capabilities();
  // Locked or not, what the caller set must go while CAP_SETPCAP is at hand.
  if (sys::secure_bits() != 0) sys::set_secure_bits(0);
  drop_bounding_except(plan.bounding, plan.last_capability);
  const Set needed = plan.permitted | plan.inheritable | kSetUpNeeds | further;
  const Set kept = own.permitted & needed;
  sys::set_capabilities(
      {.effective = kept, .permitted = kept, .inheritable = own.inheritable & plan.inheritable});
}

void keep_across_user_change() {
  sys::set_keep_capabilities(true);
}

void apply(const Plan& plan) {
  // Dropping from the bounding set takes CAP_SETPCAP, which a change of user has put out of effect,
  // so it is narrow() that drops; one member is enough to tell that it was called.
  const std::optional<int> outside = first_outside(plan.bounding, plan.last_capability);
  if (outside && sys::is_bounding(*outside)) {
    throw Error(ErrorKind::internal, "the bounding set of capabilities was not narrowed");
  }
  set_three(plan);
  // capset has already dropped what is no longer permitted and inheritable; this drops what the
  // caller had as ambient and the payload may have, but not as ambient.
  sys::clear_ambient();
  for (int number = 0; number <= plan.last_capability; ++number) {
    if ((plan.ambient & bit(number)) != 0) sys::raise_ambient(number);
  }
  clear_secure_bits();
}

void explain(const Plan& plan, Explain& out) {
  const std::array<std::pair<std::string_view, Set>, 5> sets = {{{"bounding", plan.bounding},
                                                                 {"permitted", plan.permitted},
                                                                 {"effective", plan.effective},
                                                                 {"inheritable", plan.inheritable},
                                                                 {"ambient", plan.ambient}}};
  for (const auto& [name, set] : sets) {
    out.add("capabilities", fmt::format("{} set: {}", name, names_of(set)),
            fmt::format("/process/capabilities/{}", name));
  }
}

}  // namespace tare::capabilities
