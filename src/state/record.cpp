#include "state/record.hpp"

#include "spec/reader.hpp"
#include "spec/writer.hpp"

namespace tare {

std::string_view to_string(Status status) noexcept {
  switch (status) {
    case Status::creating:
      return "creating";
    case Status::created:
      return "created";
    case Status::running:
      return "running";
    case Status::paused:
      return "paused";
    case Status::stopped:
      return "stopped";
  }
  return "stopped";
}

namespace state {
namespace {

using spec::Writer;

// Pid 1 is nobody's container: whoever writes it, or 0 or -1, wants the host's init, our own
// process group or everything to be signalled.
constexpr pid_t kLowestPid = 2;

// A record is written by this program alone, so whatever does not read as it was written is damage.
template <typename Read>
auto read_strictly(std::string_view what, const std::string& text, Read&& read) {
  try {
    const spec::Document document(std::string(what), text);
    return read(document.top());
  } catch (const Error& error) {
    throw Error(ErrorKind::state, "damaged " + error.message(),
                "clear it away with delete --force");
  }
}

std::map<std::string, std::string> read_annotations(const spec::Reader& object) {
  std::map<std::string, std::string> annotations;
  for (const auto& [name, value] : object.members()) annotations.emplace(name, value.string());
  return annotations;
}

InitProcess read_init(const spec::Reader& object) {
  InitProcess init{
      .pid = object.at("pid").integer<pid_t>(kLowestPid),
      .pidfs_inode = object.at("pidfsInode").integer<std::uint64_t>(),
      .start_time = object.at("startTime").integer<std::uint64_t>(),
  };
  // Without either, a pid that was given to somebody else would pass for the container's.
  if (init.pidfs_inode == 0 && init.start_time == 0) throw object.error("tells of no process");
  return init;
}

void add(Writer& out, const ResctrlGroup& group) {
  out.add_object("resctrl", [&] {
    out.add("directory", group.directory);
    out.add("monitoring", group.monitoring);
    out.add("own", group.own);
  });
}

ResctrlGroup read_resctrl(const spec::Reader& object) {
  return {.directory = object.at("directory").string(),
          .monitoring = object.at("monitoring").string(),
          .own = object.at("own").boolean()};
}

void add(Writer& out, const ScopeUnit& scope) {
  out.add_object("scope", [&] {
    out.add("name", scope.name);
    out.add("user", scope.user);
  });
}

ScopeUnit read_scope(const spec::Reader& object) {
  return {.name = object.at("name").string(), .user = object.at("user").boolean()};
}

void add(Writer& out, const Outside& outside) {
  out.add_object("outside", [&] {
    out.add("mounts", outside.mounts);
    out.add("masked", outside.masked);
    out.add("joined", outside.joined);
    out.add("pipes", outside.pipes);
  });
}

Outside read_outside(const spec::Reader& object) {
  return {.mounts = object.at("mounts").strings(),
          .masked = object.at("masked").strings(),
          .joined = object.at("joined").integer<std::uint64_t>(),
          .pipes = object.at("pipes").strings()};
}

std::string shown(const State& state, const std::string& owner, Writer::Form form) {
  const Record& record = state.record;
  Writer out(form);
  out.add("ociVersion", record.oci_version);
  out.add("id", record.id);
  out.add("pid", state.status == Status::stopped ? 0 : record.init.pid);
  out.add("status", to_string(state.status));
  out.add("bundle", record.bundle);
  out.add("rootfs", record.rootfs);
  out.add("created", record.created);
  if (!record.annotations.empty()) out.add("annotations", record.annotations);
  out.add("owner", owner);
  return out.finish();
}

// The members of the state as runtime.md has it.
void add_state(Writer& out, const Record& record, Status status) {
  out.add("ociVersion", record.oci_version);
  out.add("id", record.id);
  out.add("status", to_string(status));
  // runtime.md asks for the pid of a container that is being made, waits or runs.
  if (status != Status::stopped) out.add("pid", record.init.pid);
  out.add("bundle", record.bundle);
  if (!record.annotations.empty()) out.add("annotations", record.annotations);
}

// An intent of a version that did not say keeps its container, which may be running.
bool may_be_rootless(const spec::Reader& intent) {
  const std::optional<spec::Reader> said = intent.find("rootless");
  return !said || said->boolean();
}

}  // namespace

std::string to_json(const Intent& intent) {
  Writer out;
  out.add("id", intent.id);
  out.add("bundle", intent.bundle);
  out.add("rootfs", intent.rootfs);
  out.add("bootId", intent.boot_id);
  out.add("cgroupDirectory", intent.cgroup_directory);
  add(out, intent.scope);
  out.add("hooks", intent.hooks);
  out.add("process", intent.process);
  out.add("namespaces", intent.namespaces);
  out.add("userMapped", intent.user_mapped);
  out.add("setgroupsDenied", intent.setgroups_denied);
  out.add("rootless", intent.rootless);
  out.add("linuxPart", intent.linux_part);
  out.add("keyringKept", intent.keyring_kept);
  out.add("seccompListener", intent.seccomp_listener);
  out.add("seccompMetadata", intent.seccomp_metadata);
  add(out, intent.resctrl);
  add(out, intent.outside);
  return out.finish();
}

std::string to_json(const Record& record) {
  Writer out;
  out.add("id", record.id);
  out.add("ociVersion", record.oci_version);
  out.add("bundle", record.bundle);
  out.add("rootfs", record.rootfs);
  out.add("created", record.created);
  out.add("bootId", record.boot_id);
  out.add("owner", record.owner);
  out.add_object("init", [&] {
    out.add("pid", record.init.pid);
    out.add("pidfsInode", record.init.pidfs_inode);
    out.add("startTime", record.init.start_time);
  });
  out.add("cgroupDirectory", record.cgroup_directory);
  add(out, record.scope);
  out.add("namespaces", record.namespaces);
  out.add("privatePids", record.private_pids);
  out.add("uidMap", record.uid_map);
  out.add("gidMap", record.gid_map);
  out.add("annotations", record.annotations);
  out.add("hasPoststart", record.has_poststart);
  out.add("hasPoststop", record.has_poststop);
  out.add("hasSeccomp", record.has_seccomp);
  out.add("memoryLimit", record.memory_limit_bytes);
  out.add("memorySwap", record.memory_swap_bytes);
  add(out, record.resctrl);
  return out.finish();
}

Intent intent_from_json(const std::string& text) {
  return read_strictly("intent", text, [](const spec::Reader& top) {
    return Intent{
        .id = top.at("id").string(),
        .bundle = top.at("bundle").string(),
        .rootfs = top.at("rootfs").string(),
        .boot_id = top.at("bootId").string(),
        .cgroup_directory = top.at("cgroupDirectory").string(),
        .scope = read_scope(top.at("scope")),
        .hooks = top.at("hooks").string(),
        .process = top.at("process").string(),
        .namespaces = top.at("namespaces").integer<std::uint64_t>(),
        .user_mapped = top.at("userMapped").boolean(),
        .setgroups_denied = top.at("setgroupsDenied").boolean(),
        .rootless = may_be_rootless(top),
        .linux_part = top.at("linuxPart").string(),
        .keyring_kept = top.at("keyringKept").boolean(),
        .seccomp_listener = top.at("seccompListener").string(),
        .seccomp_metadata = top.at("seccompMetadata").string(),
        .resctrl = read_resctrl(top.at("resctrl")),
        .outside = read_outside(top.at("outside")),
    };
  });
}

Record record_from_json(const std::string& text) {
  return read_strictly("state", text, [](const spec::Reader& top) {
    return Record{
        .id = top.at("id").string(),
        .oci_version = top.at("ociVersion").string(),
        .bundle = top.at("bundle").string(),
        .rootfs = top.at("rootfs").string(),
        .created = top.at("created").string(),
        .boot_id = top.at("bootId").string(),
        .owner = top.at("owner").integer<uid_t>(),
        .init = read_init(top.at("init")),
        .cgroup_directory = top.at("cgroupDirectory").string(),
        .scope = read_scope(top.at("scope")),
        .namespaces = top.at("namespaces").integer<std::uint64_t>(),
        .private_pids = top.at("privatePids").boolean(),
        .uid_map = top.at("uidMap").string(),
        .gid_map = top.at("gidMap").string(),
        .annotations = read_annotations(top.at("annotations")),
        .has_poststart = top.at("hasPoststart").boolean(),
        .has_poststop = top.at("hasPoststop").boolean(),
        .has_seccomp = top.at("hasSeccomp").boolean(),
        .memory_limit_bytes = top.at("memoryLimit").integer<std::int64_t>(),
        .memory_swap_bytes = top.at("memorySwap").integer<std::int64_t>(),
        .resctrl = read_resctrl(top.at("resctrl")),
    };
  });
}

std::string hook_state(const Record& record, Status status) {
  Writer out;
  add_state(out, record, status);
  return out.finish();
}

std::string container_process_state(const Record& record, Status status, pid_t pid,
                                    const std::string& metadata) {
  Writer out;
  out.add("ociVersion", record.oci_version);
  out.add("fds", std::vector<std::string>{"seccompFd"});
  out.add("pid", pid);
  if (!metadata.empty()) out.add("metadata", metadata);
  out.add_object("state", [&] { add_state(out, record, status); });
  return out.finish();
}

std::string printed_state(const State& state) {
  return shown(state, "", Writer::Form::indented);
}

std::string listed_state(const State& state, const std::string& owner) {
  return shown(state, owner, Writer::Form::line);
}

}  // namespace state
}  // namespace tare
