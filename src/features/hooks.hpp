/// hooks (config.md, "POSIX-platform Hooks"; runtime.md, "Lifecycle"): programs of the host that
/// are run at six points, with the state on stdin. Each runs in a process group of its own with a
/// bounded output, kept for the error; when it is over or its time is up, nothing of the group is
/// left.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::hooks {

enum class Stage {
  prestart,
  create_runtime,
  create_container,
  start_container,
  poststart,
  poststop
};

/// "createRuntime": the specification's name.
std::string_view to_string(Stage stage) noexcept;

struct Hook {
  std::string path{};
  /// argv, argv[0] included; {path} where the config has none
  std::vector<std::string> arguments{};
  std::vector<std::string> environment{};
  std::optional<int> timeout_seconds{};
  bool operator==(const Hook&) const = default;
};

/// Where the output of hooks goes besides an error (crun's run.oci.hooks.stdout and .stderr).
struct Output {
  std::string standard{};  ///< absolute path, or empty
  std::string error{};     ///< absolute path, or empty
  bool operator==(const Output&) const = default;
};

/// The files of an Output, open for appending; empty where there is none.
struct OutputFiles {
  sys::Fd standard{};
  sys::Fd error{};
};

struct Plan {
  std::vector<Hook> prestart{}, create_runtime{}, create_container{}, start_container{},
      poststart{}, poststop{};
  Output output{};
  bool operator==(const Plan&) const = default;
  /// The hooks of one stage.
  const std::vector<Hook>& at(Stage stage) const noexcept;
};

/// Reads `hooks` from the top of config.json. Throws Error(spec) for a relative path and for a
/// timeout that is not above 0.
Plan read(const spec::Reader& top);
/// Reads the annotations; a relative path is one in the bundle. Throws Error(spec).
Output read_output(const std::map<std::string, std::string>& annotations,
                   const std::string& bundle);
/// Opens the files on the host, and makes them where missing. Throws Error(system).
OutputFiles open_output(const Output& output);
/// The object `hooks` again, for the intent that delete reads.
std::string to_json(const Plan& plan);

/// Runs the hooks of one stage in order, each given `state` on stdin. The first that fails ends it
/// with an Error "error running HOOK hook #N: ..." that carries the end of the hook's output; the
/// timeout's text is "hook ran past specified timeout of 1.0s". `directory` is the working
/// directory. What goes to one of `files` is not kept for an error.
void run(Stage stage, const std::vector<Hook>& hooks, const std::string& state,
         const std::string& directory, const OutputFiles& files = {});

/// Each hook, with where and when it runs.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::hooks
