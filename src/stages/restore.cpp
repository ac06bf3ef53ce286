// restore: a container that runs on from the files of a checkpoint.
//
//   parent   plans config.json as create does, claims the id, makes the cgroup and what is mounted
//   criu     our child, born in that cgroup: makes the processes, the first as our child too
//
// What criu does not restore is set up while it waits: hooks, network devices, the record.

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <signal.h>

#include <charconv>

#include "features/criu.hpp"
#include "features/criu_options.hpp"
#include "features/criu_pages.hpp"
#include "stages/birth.hpp"
#include "stages/claim.hpp"
#include "stages/container_cgroup.hpp"
#include "stages/create.hpp"
#include "stages/criu_root.hpp"
#include "stages/foreground.hpp"
#include "stages/handover.hpp"
#include "stages/images.hpp"
#include "stages/lifecycle.hpp"
#include "stages/protocol.hpp"
#include "stages/timings.hpp"
#include "state/record.hpp"
#include "state/store.hpp"
#include "sys/file.hpp"
#include "sys/network.hpp"
#include "sys/process.hpp"
#include "sys/signals.hpp"
#include "sys/socket.hpp"

namespace tare {
namespace stages {
namespace {

using namespaces::Type;

constexpr char kLog[] = "restore.log";
constexpr char kInventory[] = "inventory.img";
constexpr char kDirectory[] = "criu";
constexpr mode_t kMode = 0700;

// What has been opened before anything is made.
struct Sources {
  ImagePaths paths{};
  std::vector<std::pair<std::string, int>> streams{};
  std::string program{};
  std::optional<sys::Fd> console_socket{};
  std::vector<namespaces::Target> joined{};
};

// A dump is complete once criu has written this; a pre-dump has it too, and then lacks the rest.
void check_images(const ImagePaths& paths) {
  if (sys::find_status(paths.images, kInventory)) return;
  throw Error(ErrorKind::state, fmt::format("there is no checkpoint in {}: it has no {}",
                                            paths.image_path, kInventory));
}

std::vector<std::pair<std::string, int>> read_streams(const ImagePaths& paths) {
  return in_context([] { return "unable to read the checkpoint"; },
                    [&] {
                      return criu_options::read_descriptors(
                          sys::read_file(paths.images, criu_options::kDescriptorsFile));
                    });
}

Sources open_sources(const RestoreRequest& request, const Plan& plan) {
  Sources sources{.paths = open_image_paths(request.image)};
  check_images(sources.paths);
  // Lazily restored, the memory comes from elsewhere.
  if (!request.image.lazy_pages) criu_pages::check(sources.paths.images);
  sources.streams = read_streams(sources.paths);
  sources.program = criu::require_program();
  if (!request.create.console_socket.empty()) {
    sources.console_socket =
        in_context([] { return "console socket"; },
                   [&] { return sys::connect_unix(request.create.console_socket); });
  }
  sources.joined = namespaces::open_in_parent(plan.namespaces);
  return sources;
}

// criu joins these two by descriptor, and the others by path.
void add_namespaces(criu::Options& options, const Plan& plan, const Sources& sources) {
  for (std::size_t i = 0; i < plan.namespaces.join.size(); ++i) {
    const namespaces::Entry& entry = plan.namespaces.join[i];
    const std::string_view external = criu_options::external_name(entry.type);
    const std::string_view name = criu_options::criu_name(entry.type);
    if (!external.empty()) {
      options.inherited.emplace_back(external, sources.joined[i].file.number());
    } else if (!name.empty()) {
      options.joined_namespaces.emplace_back(name, entry.path);
    } else {
      Error error(ErrorKind::unsupported,
                  fmt::format("criu cannot restore into a {} namespace that is joined by path",
                              namespaces::to_string(entry.type)));
      error.set_field(entry.pointer);
      throw error;
    }
  }
}

struct Restored {
  state::ContainerDirectory directory;
  Bundle bundle{};
  Record record{};
  sys::Child init{};
  std::optional<sys::Fd> console{};  ///< the pty's master, where this process is to attend it
  Timings timings;
  Undo undo{};  ///< last, so that it runs while the rest is there
};

// One restore, from the claim on.
class Restoration {
 public:
  Restoration(const RestoreRequest& request, Restored& restored, const Sources& sources,
              const state::Store& store)
      : request_(request), restored_(restored), sources_(sources), store_(store) {}

  void carry_out() {
    Steps& steps = restored_.timings.steps;
    steps.begin("mount points and cgroup");
    make_mount_points(plan());
    // Last: what criu has made and then killed is ours to reap.
    restored_.undo.add([] { sys::reap_ended(0); });
    // Its limits hold for criu as well, which reads the memory of the container within them.
    if (!plan().cgroup_systemd.enabled()) {
      cgroup_ = make_cgroup(plan(), restored_.undo);
      if (!cgroup_) restored_.record.cgroup_directory.clear();
    }
    make_resctrl_group(plan(), restored_.record, restored_.undo);
    steps.begin("seccomp filter");
    write_filter();
    // Before criu exists: it is gone by the time that this is undone.
    restored_.undo.add([&init = restored_.init] { end(init); });
    steps.begin("open sources");
    const CriuRoot root = open_root();
    steps.begin("start criu");
    const std::unique_ptr<criu::Worker> worker = start(root);
    filter_devices(plan(), cgroup_);
    worker->require_version();
    if (request_.image.lazy_pages && !worker->features().lazy_pages) {
      throw Error(ErrorKind::unsupported, "criu is missing features: LazyPages");
    }
    steps.begin("restore by criu");
    run(*worker, root);
    steps.begin("hand over");
    hand_over_process(restored_.init, request_.create.pid_file, request_.create.pidfd_socket,
                      restored_.undo);
  }

 private:
  const Plan& plan() const noexcept { return restored_.bundle.plan; }

  // For exec; the processes have theirs from the images.
  void write_filter() {
    if (!plan().seccomp.enabled) return;
    const sys::Fd cache = store_.seccomp_cache();
    restored_.directory.write_seccomp(seccomp::compile_cached(plan().seccomp, cache));
  }

  CriuRoot open_root() {
    sys::make_directory(restored_.directory.fd(), kDirectory, kMode);
    restored_.undo.add([&directory = restored_.directory] { remove_root(directory); });
    return open_criu_root(plan(), fmt::format("{}/{}", restored_.directory.path(), kDirectory));
  }

  static void remove_root(const state::ContainerDirectory& directory) {
    sys::remove_directory(directory.fd(), kDirectory);
  }

  std::unique_ptr<criu::Worker> start(const CriuRoot& root) {
    std::pair<sys::Fd, sys::Fd> ends = sys::socket_pair();
    ParentEnd parent(std::move(ends.first));
    InitEnd channel(std::move(ends.second));
    sys::Child child = spawn_worker([&] {
      parent.close();
      try {
        return become_criu(root, channel);
      } catch (const Error& error) {
        channel.send_failure(error);
        return 1;
      }
    });
    channel.close();
    Request seat = parent.receive();
    if (seat.kind != FromInit::criu) {
      throw Error(ErrorKind::internal, "the process that becomes criu died without a word");
    }
    read_numbers(seat.text);
    return std::make_unique<criu::Worker>(std::move(seat.attached), std::move(child));
  }

  // criu opens its directories again through the process that made its socket, and mounts within
  // one of them: so that process is to be criu itself, and they are those of its mount namespace.
  int become_criu(const CriuRoot& root, const InitEnd& channel) const {
    enter_criu_root(root);
    // criu restores no keyring: what it makes has the one that it has itself.
    keyring::apply(plan().process.keyring);
    const ImagePaths own = open_image_paths(request_.image);
    std::pair<sys::Fd, sys::Fd> talk = sys::socket_pair();
    channel.send(FromInit::criu, fmt::format("{} {}", own.images.number(), own.work.number()),
                 talk.first);
    std::vector<sys::FdRef> passed = {own.images, own.work};
    for (const namespaces::Target& target : sources_.joined) passed.push_back(target.file);
    const int number = criu::execute(sources_.program, talk.second, passed);
    throw Error::from_errno(number, "execve " + sources_.program);
  }

  void read_numbers(const std::string& text) {
    const char* const end = text.data() + text.size();
    const auto [space, fault] = std::from_chars(text.data(), end, images_number_);
    if (fault == std::errc() && space != end) std::from_chars(space + 1, end, work_number_);
  }

  // In the container's cgroup, where what it makes is born as well.
  sys::Child spawn_worker(const std::function<int()>& body) {
    sys::CloneRequest request{.namespaces = CLONE_NEWNS};
    if (cgroup_) request.cgroup = cgroup_.ref();
    if (!plan().cgroup_systemd.enabled()) return sys::spawn(request, body);
    return spawn_through_joiner(
        request, [](sys::FdRef) {}, body, restored_.record.cgroup_directory,
        [&](pid_t joiner) { cgroup_ = make_scope(plan(), restored_.undo, joiner); });
  }

  criu::Options options(const CriuRoot& root) const {
    criu::Options options =
        options_of(request_.image, sources_.paths, restored_.bundle.annotations);
    options.images_directory = images_number_;
    options.work_directory = work_number_;
    options.log_file = kLog;
    options.root = root.root_path();
    options.sibling = true;
    // A device that has no node in the restored /dev yet is opened by another node of its number.
    options.evasive_devices = true;
    options.external_mounts = root.external_mounts();
    options.inherited = sources_.streams;
    options.cgroup_root = plan().cgroup.path;
    options.lsm_profile = request_.lsm_profile;
    options.lsm_mount_context = request_.lsm_mount_context;
    add_namespaces(options, plan(), sources_);
    return options;
  }

  void run(criu::Worker& worker, const CriuRoot& root) {
    try {
      worker.request(criu::RequestType::restore, options(root),
                     [&](criu::Notification& notification) { answer(notification); });
      if (!restored_.init.pidfd) {
        throw Error(ErrorKind::system, "criu has not told of the process that it restored");
      }
      worker.finish();
      remove_root(restored_.directory);
    } catch (Error& error) {
      criu::quote_log(error, sources_.paths.work, kLog, sources_.paths.work_path);
      throw;
    }
  }

  void answer(criu::Notification& notification) {
    const std::string& script = notification.response.script;
    if (script == "setup-namespaces") return set_up_namespaces(notification.response.pid);
    if (script == "orphan-pts-master") return take_console(std::move(notification.attached));
    if (script == "post-restore") return note_init(notification.response.pid);
  }

  void set_up_namespaces(pid_t pid) {
    take_init(pid);
    if (plan().namespaces.creates(Type::network)) set_up_network(pid);
    const std::string state = state::hook_state(restored_.record, Status::creating);
    const hooks::Plan& hooks = plan().hooks;
    const hooks::OutputFiles files = hooks::open_output(hooks.output);
    hooks::run(hooks::Stage::prestart, hooks.prestart, state, kHookDirectory, files);
    hooks::run(hooks::Stage::create_runtime, hooks.create_runtime, state, kHookDirectory, files);
  }

  // criu leaves a network of the container's own empty: hooks set up devices, or they are moved in.
  void set_up_network(pid_t pid) {
    const std::string path = fmt::format("/proc/{}/ns/net", pid);
    run_in_child({}, [&] {
      const sys::Fd network = sys::open_at(sys::FdRef::cwd(), path, O_RDONLY);
      sys::join_namespaces(network, CLONE_NEWNET);
      const sys::Fd socket = sys::network_socket();
      namespaces::apply_in_parent(socket);
    });
    if (plan().net_devices.devices.empty()) return;
    const auto moved =
        std::make_shared<net_devices::Moved>(net_devices::apply_in_parent(plan().net_devices, pid));
    restored_.undo.add([moved] { moved->restore(); });
  }

  void take_console(sys::Fd master) {
    if (!sources_.console_socket) {
      restored_.console = std::move(master);
      return;
    }
    sys::send_message(*sources_.console_socket, "orphan-pts-master", master);
  }

  // The processes are there and stopped.
  // From here on the record tells of a container, so that whoever kills us can have it deleted.
  void note_init(pid_t pid) {
    take_init(pid);
    // Or the clocks of what exec adds would not be those of the others: criu restores into a time
    // namespace, so that no clock runs backwards.
    if (is_in_other_time(pid)) restored_.record.namespaces |= CLONE_NEWTIME;
    intel_rdt::add_process(restored_.record.resctrl, pid);
    cgroup_delegation::apply_in_parent(plan().cgroup_delegation, cgroup_, plan().id_map, pid);
    restored_.directory.write_record(restored_.record);
  }

  // criu names it twice: with its namespaces, where it has any, and when all is restored.
  void take_init(pid_t pid) {
    std::optional<sys::Fd> process = sys::open_pidfd(pid);
    if (!process) throw Error(ErrorKind::system, "the restored process is gone");
    restored_.init = {.pid = pid, .pidfd = std::move(*process)};
    restored_.record.init = identity_of(restored_.init);
  }

  static bool is_in_other_time(pid_t pid) {
    const auto name = [](const std::string& process) {
      return sys::read_link(sys::FdRef::cwd(), fmt::format("/proc/{}/ns/time", process));
    };
    return name(std::to_string(pid)) != name("self");
  }

  static void end(const sys::Child& init) {
    if (!init.pidfd) return;
    sys::send_signal(init.pidfd, SIGKILL);
    sys::wait_for(init.pidfd);
  }

  const RestoreRequest& request_;
  Restored& restored_;
  const Sources& sources_;
  const state::Store& store_;
  sys::Fd cgroup_{};
  int images_number_ = -1;  // in criu
  int work_number_ = -1;    // likewise
};

std::unique_ptr<Restored> restore_container(const RestoreRequest& request) {
  Timings timings(request.create.timings);
  timings.steps.begin("read and plan");
  Bundle bundle = load_bundle(request.create);
  check_console(bundle.plan.process.terminal.enabled, !request.create.console_socket.empty(),
                request.detach);
  const Sources sources = open_sources(request, bundle.plan);
  timings.steps.begin("claim");
  const state::Store store(request.create.global);
  prepare_own_process();
  auto restored = std::make_unique<Restored>(Restored{.directory = store.claim(request.create.id),
                                                      .bundle = std::move(bundle),
                                                      .timings = std::move(timings)});
  restored->undo.add([directory = &restored->directory] { directory->remove(); });
  restored->record = record_of(request.create, restored->bundle, restored->directory.fd());
  restored->directory.write_intent(intent_of(request.create, restored->bundle, restored->record));
  Restoration(request, *restored, sources, store).carry_out();
  return restored;
}

struct Running {
  sys::Child init{};
  std::optional<sys::Fd> console{};
  Attended container;
};

Running restore_now(const RestoreRequest& request) {
  const std::unique_ptr<Restored> restored = restore_container(request);
  restored->timings.write();
  restored->undo.commit();
  return {std::move(restored->init), std::move(restored->console),
          attend_later(std::move(restored->directory), restored->record, restored->bundle.plan)};
}

}  // namespace
}  // namespace stages

int restore(const RestoreRequest& request) {
  stages::require_root("restore");
  if (request.detach) {
    stages::restore_now(request);
    return 0;
  }
  // Before init exists, so that neither a signal nor its end can be missed.
  const sys::BlockedSignals blocked;
  if (!request.no_subreaper) sys::become_subreaper();
  stages::Running running = stages::restore_now(request);
  const sys::ExitStatus status = stages::attend(blocked, running.init, std::move(running.console));
  stages::forget(running.container);
  return status.shell_code();
}

}  // namespace tare
