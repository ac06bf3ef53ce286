#include "state/record.hpp"

#include <nlohmann/json.hpp>

#include "spec/reader.hpp"

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

using nlohmann::json;
using nlohmann::ordered_json;

// Pid 1 is nobody's container: whoever writes it, or 0 or -1, wants the host's init, our own
// process group or everything to be signalled.
constexpr pid_t kLowestPid = 2;

// Strings come from paths and annotations, which need not be UTF-8; printing them must not fail.
template <typename Json>
std::string dump(const Json& value, int indent = -1) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

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

json to_json(const ResctrlGroup& group) {
  return {{"directory", group.directory}, {"monitoring", group.monitoring}, {"own", group.own}};
}

ResctrlGroup read_resctrl(const spec::Reader& object) {
  return {.directory = object.at("directory").string(),
          .monitoring = object.at("monitoring").string(),
          .own = object.at("own").boolean()};
}

ScopeUnit read_scope(const spec::Reader& object) {
  return {.name = object.at("name").string(), .user = object.at("user").boolean()};
}

json to_json(const Outside& outside) {
  return {{"mounts", outside.mounts},
          {"masked", outside.masked},
          {"joined", outside.joined},
          {"pipes", outside.pipes}};
}

Outside read_outside(const spec::Reader& object) {
  return {.mounts = object.at("mounts").strings(),
          .masked = object.at("masked").strings(),
          .joined = object.at("joined").integer<std::uint64_t>(),
          .pipes = object.at("pipes").strings()};
}

ordered_json shown(const State& state, const std::string& owner) {
  const Record& record = state.record;
  ordered_json out{
      {"ociVersion", record.oci_version},
      {"id", record.id},
      {"pid", state.status == Status::stopped ? 0 : record.init.pid},
      {"status", to_string(state.status)},
      {"bundle", record.bundle},
      {"rootfs", record.rootfs},
      {"created", record.created},
  };
  if (!record.annotations.empty()) out["annotations"] = record.annotations;
  out["owner"] = owner;
  return out;
}

}  // namespace

std::string to_json(const Intent& intent) {
  return dump(json{
      {"id", intent.id},
      {"bundle", intent.bundle},
      {"rootfs", intent.rootfs},
      {"bootId", intent.boot_id},
      {"cgroupDirectory", intent.cgroup_directory},
      {"scope", {{"name", intent.scope.name}, {"user", intent.scope.user}}},
      {"hooks", intent.hooks},
      {"process", intent.process},
      {"namespaces", intent.namespaces},
      {"userMapped", intent.user_mapped},
      {"setgroupsDenied", intent.setgroups_denied},
      {"linuxPart", intent.linux_part},
      {"keyringKept", intent.keyring_kept},
      {"seccompListener", intent.seccomp_listener},
      {"seccompMetadata", intent.seccomp_metadata},
      {"resctrl", to_json(intent.resctrl)},
      {"outside", to_json(intent.outside)},
  });
}

std::string to_json(const Record& record) {
  return dump(json{
      {"id", record.id},
      {"ociVersion", record.oci_version},
      {"bundle", record.bundle},
      {"rootfs", record.rootfs},
      {"created", record.created},
      {"bootId", record.boot_id},
      {"owner", record.owner},
      {"init",
       {{"pid", record.init.pid},
        {"pidfsInode", record.init.pidfs_inode},
        {"startTime", record.init.start_time}}},
      {"cgroupDirectory", record.cgroup_directory},
      {"scope", {{"name", record.scope.name}, {"user", record.scope.user}}},
      {"namespaces", record.namespaces},
      {"privatePids", record.private_pids},
      {"uidMap", record.uid_map},
      {"gidMap", record.gid_map},
      {"annotations", record.annotations},
      {"hasPoststart", record.has_poststart},
      {"hasPoststop", record.has_poststop},
      {"hasSeccomp", record.has_seccomp},
      {"memoryLimit", record.memory_limit_bytes},
      {"memorySwap", record.memory_swap_bytes},
      {"resctrl", to_json(record.resctrl)},
  });
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

namespace {

// The state as runtime.md has it.
ordered_json state_object(const Record& record, Status status) {
  ordered_json out{
      {"ociVersion", record.oci_version},
      {"id", record.id},
      {"status", to_string(status)},
  };
  // runtime.md asks for the pid of a container that is being made, waits or runs.
  if (status != Status::stopped) out["pid"] = record.init.pid;
  out["bundle"] = record.bundle;
  if (!record.annotations.empty()) out["annotations"] = record.annotations;
  return out;
}

}  // namespace

std::string hook_state(const Record& record, Status status) {
  return dump(state_object(record, status));
}

std::string container_process_state(const Record& record, Status status, pid_t pid,
                                    const std::string& metadata) {
  ordered_json out{
      {"ociVersion", record.oci_version},
      {"fds", ordered_json::array({"seccompFd"})},
      {"pid", pid},
  };
  if (!metadata.empty()) out["metadata"] = metadata;
  out["state"] = state_object(record, status);
  return dump(out);
}

std::string printed_state(const State& state) {
  return dump(shown(state, ""), 2);
}

std::string listed_state(const State& state, const std::string& owner) {
  return dump(shown(state, owner));
}

}  // namespace state
}  // namespace tare
