#include "features/sysctl.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/namespace.hpp"
#include "sys/path.hpp"

namespace tare::sysctl {
namespace {

using namespaces::Type;

// Where the kernel keeps a copy for each namespace. What is not here is the whole machine's.
struct Namespaced {
  std::string_view name;  // as sysctl(8) has it; with a dot at its end, everything below
  Type type;
  std::string_view refusal;  // what runc says without such a namespace
};

constexpr std::string_view kHostIpc = "sysctl \"{}\" is not allowed in the hosts ipc namespace";
constexpr std::string_view kHostNetwork = "sysctl \"{}\" not allowed in host network namespace";
constexpr std::string_view kNoUserNamespace =
    "setting ucounts without a user namespace not allowed: {}";
constexpr std::string_view kNotNamespaced = "sysctl \"{}\" is not in a separate kernel namespace";

constexpr Namespaced kNamespaced[] = {
    {"kernel.msgmax", Type::ipc, kHostIpc},
    {"kernel.msgmnb", Type::ipc, kHostIpc},
    {"kernel.msgmni", Type::ipc, kHostIpc},
    {"kernel.sem", Type::ipc, kHostIpc},
    {"kernel.shmall", Type::ipc, kHostIpc},
    {"kernel.shmmax", Type::ipc, kHostIpc},
    {"kernel.shmmni", Type::ipc, kHostIpc},
    {"kernel.shm_rmid_forced", Type::ipc, kHostIpc},
    {"fs.mqueue.", Type::ipc, kHostIpc},
    {"net.", Type::network, kHostNetwork},
    {"kernel.domainname", Type::uts, kNotNamespaced},
    // Outside of a user namespace these are limits of all users of the machine.
    {"user.", Type::user, kNoUserNamespace},
};

constexpr long kProcfsMagic = 0x9fa0;  // PROC_SUPER_MAGIC, linux/magic.h
constexpr ino_t kProcfsRoot = 1;       // PROC_ROOT_INO, linux/proc_fs.h

// Dots for slashes and slashes for dots; what goes one way comes back the other.
std::string swapped(std::string name) {
  for (char& c : name) {
    if (c == '.' || c == '/') c = c == '.' ? '/' : '.';
  }
  return name;
}

// "net/ipv4/conf/eno2.100/mtu" to "net.ipv4.conf.eno2/100.mtu": whichever separator comes first is
// the one, and the other stands for a dot within a name (sysctl.d(5)).
std::string with_dots(const std::string& name) {
  const std::size_t first = name.find_first_of("./");
  return first != std::string::npos && name[first] == '/' ? swapped(name) : name;
}

// No "*", no blank, no line end: nothing that a shell, a log or a second parser could take for more
// than a name (CVE-2022-0811 smuggled a second parameter into a value's line).
bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-';
}

// Every component has a character that is no dot, so none is empty, "." or "..".
bool is_well_formed(std::string_view path) {
  bool named = false;
  for (const char c : path) {
    if (c == '/' ? !named : c != '.' && !is_plain(c)) return false;
    named = c == '/' ? false : named || c != '.';
  }
  return named;
}

// What /proc/PID/ns calls the types that sysctls belong to.
std::string file_name_of(Type type) {
  return type == Type::network ? "net" : std::string(namespaces::to_string(type));
}

[[noreturn]] void refuse(const Entry& entry, std::string text, std::string hint = {}) {
  Error error(ErrorKind::spec, std::move(text), std::move(hint));
  error.set_field(entry.pointer);
  throw error;
}

const Namespaced* find_namespaced(std::string_view dotted) {
  for (const Namespaced& known : kNamespaced) {
    if (known.name.ends_with('.') ? dotted.starts_with(known.name) : dotted == known.name) {
      return &known;
    }
  }
  return nullptr;
}

Setting plan_entry(const Entry& entry, const namespaces::Plan& namespaces, bool hostname_given) {
  const std::string dotted = with_dots(entry.name);
  std::string path = swapped(dotted);
  if (!is_well_formed(path)) refuse(entry, fmt::format("invalid sysctl name \"{}\"", entry.name));
  // The specification has a field of its own for it, so two could contradict each other.
  if (dotted == "kernel.hostname" && namespaces.has(Type::uts)) {
    refuse(
        entry,
        fmt::format("sysctl \"{}\" is not allowed as it conflicts with the OCI \"hostname\" field",
                    dotted),
        hostname_given ? "" : "set hostname instead");
  }
  const Namespaced* known = find_namespaced(dotted);
  if (known == nullptr) refuse(entry, fmt::format(kNotNamespaced, dotted));
  if (!namespaces.has(known->type))
    refuse(entry, fmt::format(fmt::runtime(known->refusal), dotted));
  return {.path = std::move(path), .value = entry.value, .pointer = entry.pointer};
}

bool is_whole_procfs(sys::FdRef directory) {
  return sys::filesystem_type(directory) == kProcfsMagic &&
         sys::status(directory).st_ino == kProcfsRoot;
}

// A new procfs shows the pid namespace of whoever makes it, and nothing is mounted over anything in
// it. In a user namespace the kernel forbids one where the old one is partly hidden
// (mount_too_revealing, fs/namespace.c); then the container's own has to do, if it is a whole
// procfs: open_beneath refuses whatever is mounted on the way down.
sys::Fd open_procfs() {
  try {
    sys::NewFilesystem procfs("proc");
    return procfs.mount(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);
  } catch (const Error& error) {
    if (error.errno_value() != EPERM) throw;
  }
  sys::Fd mounted = sys::open_at(sys::FdRef::cwd(), "/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW);
  if (!is_whole_procfs(mounted)) throw Error(ErrorKind::system, "/proc is no procfs");
  return mounted;
}

// The parameter in the container's own procfs, which is there already; nullopt where that does not
// show it, is read-only, or has something mounted on the way.
std::optional<sys::Fd> find_mounted(std::optional<sys::FdRef> procfs, const std::string& path) {
  if (!procfs) return std::nullopt;
  try {
    return sys::open_beneath(*procfs, path, O_WRONLY);
  } catch (const Error&) {
    return std::nullopt;
  }
}

// `own` is made when it is first needed: that, and to have it dissolved again, takes 0.1 ms.
void write(const Setting& setting, std::optional<sys::FdRef> mounted, sys::Fd& own) {
  const std::string path = "sys/" + setting.path;
  std::optional<sys::Fd> file = find_mounted(mounted, path);
  if (!file) {
    if (!own) own = asked_by([] { return "/linux/sysctl"; }, [] { return open_procfs(); });
    file = sys::open_beneath(own, path, O_WRONLY);
  }
  sys::write_all(*file, setting.value);
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> member = linux_object.find("sysctl");
  if (!member) return spec;
  for (const auto& [name, value] : member->members()) {
    spec.entries.push_back({.name = name, .value = value.string(), .pointer = value.pointer()});
  }
  return spec;
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces, bool hostname_given) {
  Plan plan;
  for (const Entry& entry : spec.entries) {
    Setting setting = plan_entry(entry, namespaces, hostname_given);
    const auto same =
        std::find_if(plan.settings.begin(), plan.settings.end(),
                     [&](const Setting& other) { return other.path == setting.path; });
    // "a.b" and "a/b" are one parameter; which of two values won would be chance.
    if (same != plan.settings.end()) {
      refuse(entry, fmt::format("sysctl \"{}\" is set twice", entry.name));
    }
    plan.settings.push_back(std::move(setting));
  }
  return plan;
}

void check_in_parent(const Plan& plan, const std::vector<namespaces::Target>& joined) {
  for (const namespaces::Target& target : joined) {
    const auto concerned = std::ranges::find_if(plan.settings, [&](const Setting& setting) {
      const Namespaced* known = find_namespaced(swapped(setting.path));
      return known != nullptr && known->type == target.type;
    });
    if (concerned == plan.settings.end()) continue;
    if (!sys::is_own_namespace(target.file, file_name_of(target.type))) continue;
    const std::string dotted = swapped(concerned->path);
    refuse({.pointer = concerned->pointer},
           fmt::format(fmt::runtime(find_namespaced(dotted)->refusal), dotted));
  }
}

void apply_in_init(const Plan& plan, std::optional<sys::FdRef> procfs) {
  if (plan.settings.empty()) return;
  const bool whole =
      asked_by([] { return "/linux/sysctl"; }, [&] { return procfs && is_whole_procfs(*procfs); });
  if (!whole) procfs.reset();
  sys::Fd own;
  for (const Setting& setting : plan.settings) {
    asked_by([&] { return setting.pointer; },
             [&] {
               in_context(
                   [&] {
                     return fmt::format("sysctl {} = \"{}\"", swapped(setting.path), setting.value);
                   },
                   [&] { write(setting, procfs, own); });
             });
  }
}

void explain(const Plan& plan, Explain& out) {
  for (const Setting& setting : plan.settings) {
    out.add("sysctl", fmt::format("set {} to \"{}\"", swapped(setting.path), setting.value),
            setting.pointer);
  }
}

}  // namespace tare::sysctl
