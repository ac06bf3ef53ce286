#include "trial.hpp"

#include <linux/sched.h>

#include <filesystem>

#include "features/devices.hpp"
#include "features/masked_paths.hpp"
#include "features/mounts.hpp"
#include "features/rootfs.hpp"
#include "sandbox.hpp"

namespace tare::test {
namespace {

struct Plans {
  rootfs::Plan root{};
  mounts::Plan mounts{};
  devices::Plan devices{};
  masked_paths::Plan masks{};
};

Plans make_plans(const Trial& trial) {
  const spec::Document document("config.json", "{\"mounts\": [" + trial.mounts + "], \"linux\": {" +
                                                   trial.linux_object + "}}");
  const spec::Reader linux_object = document.top().at("linux");
  const namespaces::Plan namespaces{.create = trial.namespaces};
  const id_map::Plan no_maps;
  Plans plans{.root = {.path = kRoot, .propagation = trial.propagation}};
  plans.mounts = mounts::plan(mounts::read(document.top()),
                              {.namespaces = namespaces,
                               .bundle = "/mnt",
                               .cgroup_directory = trial.cgroup,
                               .rootfs = plans.root,
                               .id_map = no_maps},
                              Host{});
  if (trial.has_devices) {
    plans.devices = devices::plan(devices::read(linux_object), namespaces, plans.mounts, Host{});
  } else {
    plans.devices.links = false;
  }
  plans.masks = masked_paths::plan(masked_paths::read(linux_object), {});
  return plans;
}

}  // namespace

std::uint64_t Trial::default_namespaces() noexcept {
  return CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWCGROUP;
}

std::string nothing(sys::FdRef) {
  return "done";
}

std::string Trial::run(const Look& look) const {
  return on_machine([&] {
    std::filesystem::create_directories(kRoot);
    std::filesystem::permissions("/mnt", std::filesystem::perms(0755));
    std::filesystem::create_directories(kSource);
    prepare();
    const Plans plans = make_plans(*this);
    sys::Fd tree = rootfs::open_source(plans.root);
    mounts::Sources sources = mounts::open_sources(plans.mounts);
    std::vector<sys::Fd> nodes = devices::open_sources(plans.devices);
    sys::Fd null_device = masked_paths::open_source(plans.masks);
    const std::string answer = in_child(namespaces, [&] {
      const sys::Fd proc = own_proc();
      const sys::Root root = rootfs::attach_in_init(plans.root, std::move(tree));
      const mounts::Made made = mounts::apply_in_init(plans.mounts, root, std::move(sources));
      devices::apply_in_init(plans.devices, root, std::move(nodes), made.dev);
      rootfs::enter_in_init(plans.root, root);
      before_masks();
      masked_paths::apply_in_init(plans.masks, root, made.kernel_trees, std::move(null_device));
      mounts::finish_in_init(made);
      return look(proc);
    });
    return answer + afterwards();
  });
}

std::string bind_entry(const std::string& source, const std::string& destination,
                       const std::string& options) {
  return R"({"source": ")" + source + R"(", "destination": ")" + destination +
         R"(", "options": [)" + options + "]}";
}

std::string entry(const std::string& type, const std::string& destination,
                  const std::string& options) {
  return R"({"type": ")" + type + R"(", "source": "named", "destination": ")" + destination +
         R"(", "options": [)" + options + "]}";
}

}  // namespace tare::test
