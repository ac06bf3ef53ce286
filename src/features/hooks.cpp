#include "features/hooks.hpp"

#include <fcntl.h>
#include <fmt/core.h>

#include <nlohmann/json.hpp>

#include "features/hook_process.hpp"
#include "sys/file.hpp"

namespace tare::hooks {
namespace {

constexpr char kStandardOutput[] = "run.oci.hooks.stdout";
constexpr char kErrorOutput[] = "run.oci.hooks.stderr";

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

Output read_output(const std::map<std::string, std::string>& annotations,
                   const std::string& bundle) {
  const auto path_of = [&](const char* name) -> std::string {
    const auto found = annotations.find(name);
    if (found == annotations.end()) return {};
    const std::string& path = found->second;
    if (!path.empty() && path.find('\0') == std::string::npos) {
      return path.front() == '/' ? path : bundle + "/" + path;
    }
    Error error(ErrorKind::spec, "this is no path of a file for the output of hooks");
    error.set_field(fmt::format("/annotations/{}", name));
    throw error;
  };
  return {.standard = path_of(kStandardOutput), .error = path_of(kErrorOutput)};
}

OutputFiles open_output(const Output& output) {
  // The mode is that of a log, and not crun's 0700.
  const auto open = [](const std::string& path, const char* name) {
    if (path.empty()) return sys::Fd();
    return asked_by(
        [&] { return fmt::format("/annotations/{}", name); },
        [&] { return sys::open_at(sys::FdRef::cwd(), path, O_WRONLY | O_APPEND | O_CREAT, 0600); });
  };
  return {.standard = open(output.standard, kStandardOutput),
          .error = open(output.error, kErrorOutput)};
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
         const std::string& directory, const OutputFiles& files) {
  // Counted from 0, as runc does: callers know "#1" as the second.
  for (std::size_t index = 0; index < hooks.size(); ++index) {
    asked_by(
        [&] { return pointer_to(stage, index); },
        [&] {
          in_context(
              [&] { return fmt::format("error running {} hook #{}", to_string(stage), index); },
              [&] { run_process(hooks[index], state, directory, files); });
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
