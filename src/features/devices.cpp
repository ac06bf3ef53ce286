#include "features/devices.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"

namespace tare::devices {
namespace {

constexpr mode_t kForAll = 0666;
constexpr mode_t kPermissions = 07777;

struct Default {
  std::string_view path;
  unsigned major;
  unsigned minor;
};

constexpr Default kDefaults[] = {
    {"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
    {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
};

struct Link {
  std::string_view name;  // below /dev
  std::string_view target;
};

constexpr Link kLinks[] = {
    {"fd", "/proc/self/fd"},
    {"stdin", "/proc/self/fd/0"},
    {"stdout", "/proc/self/fd/1"},
    {"stderr", "/proc/self/fd/2"},
};
// Only where the kernel has it.
constexpr Link kCore{"core", "/proc/kcore"};
// The container's own devpts, whose pseudoterminals no other container sees.
constexpr Link kPtmx{"ptmx", "pts/ptmx"};

constexpr spec::Word<char> kTypes[] = {{"c", 'c'}, {"u", 'c'}, {"b", 'b'}, {"p", 'p'}};

mode_t type_bits(const Device& device) {
  if (device.type == 'b') return S_IFBLK;
  return device.type == 'p' ? S_IFIFO : S_IFCHR;
}

dev_t number(const Device& device) {
  return makedev(device.major, device.minor);
}

std::string describe(const Device& device) {
  if (device.type == 'p') return "a fifo";
  return fmt::format("device {} {}:{}", device.type, device.major, device.minor);
}

bool is_device(const struct stat& file, const Device& device) {
  if ((file.st_mode & S_IFMT) != type_bits(device)) return false;
  return device.type == 'p' || file.st_rdev == number(device);
}

Device read_device(const spec::Reader& item) {
  // Twelve and twenty bits are all that the kernel has for them (include/linux/kdev_t.h).
  constexpr unsigned kMaxMajor = (1U << 12U) - 1;
  constexpr unsigned kMaxMinor = (1U << 20U) - 1;
  const spec::Reader path = item.at("path");
  Device device{.path = path.string(),
                .type = item.at("type").one_of("device type", kTypes),
                .pointer = item.pointer()};
  if (!device.path.starts_with('/')) throw path.error("must be an absolute path");
  device.path = sys::clean_path(device.path);
  if (device.path == "/") throw path.error("is no place for a device");
  if (device.type != 'p') {
    device.major = item.at("major").integer<unsigned>(0, kMaxMajor);
    device.minor = item.at("minor").integer<unsigned>(0, kMaxMinor);
  }
  if (const std::optional<spec::Reader> mode = item.find("fileMode")) {
    // Callers hand over the type bits of stat(2) as well.
    device.mode = mode->integer<unsigned>(0, S_IFMT | kPermissions) & kPermissions;
  }
  device.uid = item.find_integer<uid_t>("uid").value_or(0);
  device.gid = item.find_integer<gid_t>("gid").value_or(0);
  return device;
}

bool is_in_dev(const Device& device) {
  return device.path.starts_with("/dev/");
}

bool names(const Spec& spec, std::string_view path) {
  return std::any_of(spec.devices.begin(), spec.devices.end(),
                     [&](const Device& device) { return device.path == path; });
}

template <typename Body>
decltype(auto) for_device(const Device& device, Body&& body) {
  return asked_by([&] { return device.pointer; },
                  [&]() -> decltype(auto) {
                    return in_context(
                        [&] { return fmt::format("error creating device node {}", device.path); },
                        std::forward<Body>(body));
                  });
}

// A FIFO needs no privilege, so it is made everywhere.
bool is_bound(const Plan& plan, const Device& device) {
  return plan.bind && device.type != 'p';
}

sys::Fd clone_node(const Device& device) {
  sys::Fd node = sys::clone_tree(sys::FdRef::cwd(), device.path, false);
  if (!is_device(sys::status(node), device)) {
    throw Error(ErrorKind::spec,
                fmt::format("{} of the host is not {}", device.path, describe(device)),
                "in a user namespace a device is bound from the same path of the host");
  }
  // In the host's peer group, whatever is mounted over it in the container would be on the host
  // too.
  sys::set_attributes(
      node, {.set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, .propagation = MS_PRIVATE}, false);
  return node;
}

[[noreturn]] void refuse_existing(const Device& device) {
  throw Error(ErrorKind::spec,
              fmt::format("{} exists and is not {}", device.path, describe(device)),
              "remove it from the rootfs, or mount a tmpfs on /dev");
}

void make_node(const Device& device, sys::FdRef parent, const std::string& name) {
  const bool made = sys::make_node(parent, name, type_bits(device) | device.mode, number(device));
  const sys::Fd node = sys::open_at(parent, name, O_PATH | O_NOFOLLOW);
  // Of what is there by now, nothing but the inode in hand is known (CVE-2026-41579).
  struct stat found = sys::status(node);
  if (!is_device(found, device)) refuse_existing(device);
  if (!made) return;
  if (device.uid != 0 || device.gid != 0) {
    sys::change_owner(node, device.uid, device.gid);
    // Which takes set-user-ID away.
    found = sys::status(node);
  }
  // The umask is out of the way, but a default ACL of the directory may not be.
  if ((found.st_mode & kPermissions) != device.mode) sys::change_mode(node, device.mode);
}

void bind_node(const Device& device, sys::FdRef parent, const std::string& name,
               sys::FdRef source) {
  sys::make_node(parent, name, S_IFREG, 0);
  const sys::Fd target = sys::open_at(parent, name, O_PATH | O_NOFOLLOW);
  const mode_t mode = sys::status(target).st_mode;
  if (S_ISDIR(mode) || S_ISLNK(mode)) refuse_existing(device);
  sys::attach(source, target);
}

void make_link(const Link& link, sys::FdRef dev, bool replace) {
  const std::string name(link.name);
  const std::string target(link.target);
  if (sys::make_symlink(target, dev, name) || !replace) return;
  sys::remove_file(dev, name);
  sys::make_symlink(target, dev, name);
}

void make_links(const sys::Root& root, bool own_dev) {
  in_context([] { return "error setting up /dev symlinks"; },
             [&] {
               const sys::Fd dev = root.make_directories("/dev", 0755);
               for (const Link& link : kLinks) make_link(link, dev, false);
               if (root.find(kCore.target, O_PATH)) make_link(kCore, dev, false);
               make_link(kPtmx, dev, own_dev);
             });
}

}  // namespace

Spec read(const spec::Reader& linux_object) {
  Spec spec;
  const std::optional<spec::Reader> list = linux_object.find("devices");
  if (!list) return spec;
  for (const spec::Reader& item : list->items()) spec.devices.push_back(read_device(item));
  return spec;
}

Plan plan(const Spec& spec, const namespaces::Plan& namespaces, const mounts::Plan& mounts,
          const Host& host) {
  const bool in_user_namespace = namespaces.has(namespaces::Type::user) || host.rootless;
  Plan plan{.bind = in_user_namespace, .links = !mounts::binds_dev(mounts)};
  for (const Default& node : kDefaults) {
    if (names(spec, node.path)) continue;
    plan.devices.push_back({.path = std::string(node.path),
                            .major = node.major,
                            .minor = node.minor,
                            .mode = kForAll});
  }
  for (const Device& device : spec.devices) {
    // It is a link to the container's own devpts, always.
    if (device.path != "/dev/ptmx") plan.devices.push_back(device);
  }
  if (!plan.links) std::erase_if(plan.devices, is_in_dev);
  return plan;
}

std::vector<sys::Fd> open_sources(const Plan& plan) {
  std::vector<sys::Fd> sources(plan.devices.size());
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const Device& device = plan.devices[i];
    if (!is_bound(plan, device)) continue;
    sources[i] = for_device(device, [&] { return clone_node(device); });
  }
  return sources;
}

void apply_in_init(const Plan& plan, const sys::Root& root, std::vector<sys::Fd> sources,
                   bool own_dev) {
  // A mode that is right at once need not be set anew: two calls in place of two for each device.
  // Directories on the way have no bits that a umask would take.
  const bool makes_nodes = !plan.bind && !plan.devices.empty();
  const mode_t before = makes_nodes ? sys::set_umask(0) : 0;
  // Almost all are in /dev, which is looked up once for all in a row.
  sys::Fd parent;
  std::string directory;
  for (std::size_t i = 0; i < plan.devices.size(); ++i) {
    const Device& device = plan.devices[i];
    for_device(device, [&] {
      std::string name = device.path.substr(device.path.rfind('/') + 1);
      const std::string above = device.path.substr(0, device.path.size() - name.size());
      if (above != std::exchange(directory, above)) parent = root.parent_of(device.path, name);
      if (is_bound(plan, device)) return bind_node(device, parent, name, sources.at(i));
      make_node(device, parent, name);
    });
  }
  if (makes_nodes) sys::set_umask(before);
  if (plan.links) make_links(root, own_dev);
}

void explain(const Plan& plan, Explain& out) {
  for (const Device& device : plan.devices) {
    const std::string text =
        is_bound(plan, device)
            ? fmt::format("bind {} of the host, {}", device.path, describe(device))
            : fmt::format("make {}, {}, mode {:04o}, owner {}:{}", device.path, describe(device),
                          device.mode, device.uid, device.gid);
    out.add("devices", text, device.pointer);
  }
  if (plan.links) {
    out.add("devices", "link /dev/fd, stdin, stdout, stderr, core and ptmx to the container's own");
  } else {
    out.add("devices", "leave /dev as it is: it is bound from elsewhere");
  }
}

}  // namespace tare::devices
