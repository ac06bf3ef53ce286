#include "features/credentials.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <charconv>
#include <limits>
#include <string>

#include "sys/credentials.hpp"

namespace tare::credentials {
namespace {

// (uid_t)-1 means "leave unchanged" to setresuid(2), so a process asked to run as it would stay
// root.
constexpr std::uint32_t kHighestId = std::numeric_limits<std::uint32_t>::max() - 1;

constexpr mode_t kDefaultUmask = 0022;
constexpr mode_t kUmaskBits = 0777;

std::uint32_t read_id(const spec::Reader& value) {
  return value.integer<std::uint32_t>(0, kHighestId);
}

std::uint32_t id_or_root(const spec::Reader& user, std::string_view key) {
  const std::optional<spec::Reader> field = user.find(key);
  return field ? read_id(*field) : 0;
}

void require_mapped(const std::vector<id_map::Mapping>& mappings, std::uint32_t id,
                    std::string_view kind, std::string pointer) {
  if (id_map::to_host(mappings, id)) return;
  Error error(
      ErrorKind::spec,
      fmt::format("{}: {} {} is not mapped in the container's user namespace", pointer, kind, id),
      fmt::format("add it to linux.{}Mappings", kind));
  error.set_field(std::move(pointer));
  throw error;
}

// A whole decimal number and nothing else: no sign, no space, no name, no truncation.
std::uint32_t parse_id(std::string_view digits, const std::string& text) {
  std::uint32_t id = 0;
  const char* end = digits.data() + digits.size();
  const auto [rest, fault] = std::from_chars(digits.data(), end, id);
  if (fault != std::errc() || rest != end || id > kHighestId) {
    throw Error(
        ErrorKind::usage,
        fmt::format("invalid user \"{}\": ids are whole numbers from 0 to {}", text, kHighestId),
        "give --user UID or --user UID:GID");
  }
  return id;
}

}  // namespace

Spec read(const spec::Reader& process) {
  Spec spec;
  const std::optional<spec::Reader> user = process.find("user");
  if (!user) return spec;
  spec.uid = id_or_root(*user, "uid");
  spec.gid = id_or_root(*user, "gid");
  if (const std::optional<spec::Reader> gids = user->find("additionalGids")) {
    for (const spec::Reader& gid : gids->items()) spec.additional_gids.push_back(read_id(gid));
  }
  if (const std::optional<spec::Reader> umask = user->find("umask")) {
    spec.umask = umask->integer<mode_t>(0, kUmaskBits);
  }
  return spec;
}

bool keeps_groups(const std::map<std::string, std::string>& annotations) {
  const auto found = annotations.find("run.oci.keep_original_groups");
  return found != annotations.end() && found->second != "0";
}

Plan plan(const Spec& spec, const id_map::Plan& id_map, bool new_user_namespace, const Host& host) {
  Plan plan{.uid = spec.uid,
            .gid = spec.gid,
            .additional_gids = spec.additional_gids,
            .umask = spec.umask.value_or(kDefaultUmask),
            .set_groups = !id_map.deny_setgroups,
            // Podman without lent ids makes a user namespace that denies it, and is root in that;
            // what is made in there inherits the denial (user_namespaces(7)).
            .groups_may_be_denied = (id_map.joined || host.rootless) && !id_map.deny_setgroups};
  if (spec.keep_groups) {
    plan.keep_groups = true;
    plan.set_groups = plan.groups_may_be_denied = false;
    plan.additional_gids.clear();
  }
  if (new_user_namespace) check_ids(plan, id_map);
  return plan;
}

// The kernel would answer EINVAL to an id without a mapping (user_namespaces(7)), after all else is
// made and without saying which.
void check_ids(const Plan& plan, const id_map::Plan& id_map) {
  require_mapped(id_map.uids, plan.uid, "uid", "/process/user/uid");
  require_mapped(id_map.gids, plan.gid, "gid", "/process/user/gid");
  for (std::size_t i = 0; i < plan.additional_gids.size(); ++i) {
    require_mapped(id_map.gids, plan.additional_gids[i], "gid",
                   fmt::format("/process/user/additionalGids/{}", i));
  }
  if (id_map.deny_setgroups && !plan.additional_gids.empty()) {
    Error error(ErrorKind::spec, "cannot set any additional groups in a rootless container",
                "remove additionalGids, or map gids with newgidmap");
    error.set_field("/process/user/additionalGids");
    throw error;
  }
}

namespace {

void set_groups(const Plan& plan) {
  try {
    sys::set_groups(plan.additional_gids);
  } catch (const Error& error) {
    // Whoever has made the user namespace that we joined or are in has given this up in it for
    // good: then the caller's groups stay.
    const bool given_up = plan.groups_may_be_denied && plan.additional_gids.empty();
    if (!given_up || error.errno_value() != EPERM) throw;
  }
}

}  // namespace

void apply(const Plan& plan) {
  // Groups first: without root's uid they could not be changed. Called for an empty list too, or
  // the payload would keep the caller's groups and with them what those may read (CVE-2022-2989).
  if (plan.set_groups) {
    asked_by([] { return "/process/user/additionalGids"; }, [&] { set_groups(plan); });
  }
  // Then the gid, for the same reason, and the uid last.
  asked_by([] { return "/process/user/gid"; }, [&] { sys::set_gid(plan.gid); });
  asked_by([] { return "/process/user/uid"; }, [&] { sys::set_uid(plan.uid); });
  sys::set_umask(plan.umask);
}

void explain(const Plan& plan, Explain& out) {
  if (plan.keep_groups) {
    out.add("credentials", "keep the caller's additional groups",
            "/annotations/run.oci.keep_original_groups");
  } else if (!plan.set_groups) {
    out.add("credentials",
            "keep the caller's additional groups: the kernel forbids setgroups here");
  } else if (plan.additional_gids.empty()) {
    out.add("credentials", "clear the additional groups");
  } else {
    out.add("credentials",
            fmt::format("set the additional groups {}", fmt::join(plan.additional_gids, ", ")),
            "/process/user/additionalGids");
  }
  out.add("credentials", fmt::format("run as uid {} and gid {}", plan.uid, plan.gid),
          "/process/user");
  out.add("credentials", fmt::format("set the umask to {:04o}", plan.umask));
}

User parse_user(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string_view whole = text;
  User user{.uid = parse_id(whole.substr(0, colon), text)};
  if (colon != std::string::npos) user.gid = parse_id(whole.substr(colon + 1), text);
  return user;
}

}  // namespace tare::credentials
