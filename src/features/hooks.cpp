#include "features/hooks.hpp"

#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "features/hook_process.hpp"

namespace tare::hooks {
namespace {

// A stage, and where and when the specification has its hooks run (runtime.md, "Lifecycle").
struct StageEntry {
  Stage stage;
  std::vector<Hook> Plan::*hooks;
  std::string_view name;
  std::string_view when;
};

constexpr StageEntry kStages[] = {
    {Stage::prestart, &Plan::prestart, "prestart",
     "on the host, before the container's root is entered"},
    {Stage::create_runtime, &Plan::create_runtime, "createRuntime",
     "on the host, before the container's root is entered"},
    {Stage::create_container, &Plan::create_container, "createContainer",
     "in the container's namespaces, before its root is entered"},
    {Stage::start_container, &Plan::start_container, "startContainer",
     "in the container, right before the program"},
    {Stage::poststart, &Plan::poststart, "poststart", "on the host, after the program has started"},
    {Stage::poststop, &Plan::poststop, "poststop", "on the host, after the container is deleted"},
};

const StageEntry& entry_of(Stage stage) noexcept {
  for (const StageEntry& entry : kStages) {
    if (entry.stage == stage) return entry;
  }
  return kStages[0];
}

// Both faults are ones that the specification has a runtime refuse (config.md, "POSIX-platform
// Hooks").
Hook read_hook(const spec::Reader& item) {
  Hook hook{.path = item.at("path").string(),
            .arguments = item.strings_or_none("args"),
            .environment = item.strings_or_none("env"),
            .timeout_seconds = item.find_integer<int>("timeout")};
  if (!hook.path.starts_with('/')) {
    throw item.at("path").error(
        fmt::format("the path of a hook must be absolute, not {}", item.at("path").shown()));
  }
  if (hook.timeout_seconds && *hook.timeout_seconds <= 0) {
    throw item.at("timeout").error(
        fmt::format("a timeout must be above 0, not {}", *hook.timeout_seconds));
  }
  if (hook.arguments.empty()) hook.arguments = {hook.path};
  return hook;
}

// In the words of config.json, so that there is one reader for both.
nlohmann::json to_object(const Hook& hook) {
  nlohmann::json object = {{"path", hook.path}, {"args", hook.arguments}};
  if (!hook.environment.empty()) object["env"] = hook.environment;
  if (hook.timeout_seconds) object["timeout"] = *hook.timeout_seconds;
  return object;
}

std::string pointer_to(Stage stage, std::size_t index) {
  return fmt::format("/hooks/{}/{}", to_string(stage), index);
}

}  // namespace

std::string_view to_string(Stage stage) noexcept {
  return entry_of(stage).name;
}

const std::vector<Hook>& Plan::at(Stage stage) const noexcept {
  return this->*entry_of(stage).hooks;
}

Plan read(const spec::Reader& top) {
  Plan plan;
  const std::optional<spec::Reader> hooks = top.find("hooks");
  if (!hooks) return plan;
  for (const StageEntry& entry : kStages) {
    const std::optional<spec::Reader> list = hooks->find(entry.name);
    if (!list) continue;
    for (const spec::Reader& item : list->items()) (plan.*entry.hooks).push_back(read_hook(item));
  }
  return plan;
}

std::string to_json(const Plan& plan) {
  nlohmann::json stages = nlohmann::json::object();
  for (const StageEntry& entry : kStages) {
    for (const Hook& hook : plan.*entry.hooks)
      stages[std::string(entry.name)].push_back(to_object(hook));
  }
  return stages.dump();
}

void run(Stage stage, const std::vector<Hook>& hooks, const std::string& state,
         const std::string& directory) {
  // Counted from 0, as runc does: callers know "#1" as the second.
  for (std::size_t index = 0; index < hooks.size(); ++index) {
    asked_by(
        [&] { return pointer_to(stage, index); },
        [&] {
          in_context(
              [&] { return fmt::format("error running {} hook #{}", to_string(stage), index); },
              [&] { run_process(hooks[index], state, directory); });
        });
  }
}

void explain(const Plan& plan, Explain& out) {
  for (const StageEntry& entry : kStages) {
    const std::vector<Hook>& hooks = plan.*entry.hooks;
    for (std::size_t index = 0; index < hooks.size(); ++index) {
      const std::optional<int> timeout = hooks[index].timeout_seconds;
      out.add("hooks",
              fmt::format("run {} {}{}", hooks[index].path, entry.when,
                          timeout ? fmt::format(", for at most {} s", *timeout) : ""),
              pointer_to(entry.stage, index));
    }
  }
}

}  // namespace tare::hooks
