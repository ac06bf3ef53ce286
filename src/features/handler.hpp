/// run.oci.handler and module.wasm.image/variant: a program of the host that is executed in the
/// container in place of the process's own, which it gets as its arguments: a WebAssembly runtime,
/// say. Annotations of crun, which loads libraries for it; a static binary can load none. Opened by
/// the parent before the container exists, executed by descriptor in init.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "features/explain.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::handler {

/// Where the programs are, each by the name that the annotation has.
inline constexpr std::string_view kDirectory = "/etc/tare/handlers";

inline constexpr std::string_view kByName = "run.oci.handler";
inline constexpr std::string_view kByVariant = "module.wasm.image/variant";

struct Spec {
  std::string name{};          ///< empty: none is asked for
  bool only_for_wasm = false;  ///< only when the program's name ends in .wasm or .wat
  std::string pointer{};
  bool operator==(const Spec&) const = default;
};

struct Plan {
  std::string name{};  ///< empty: the process executes its own program
  std::string path{};  ///< of the program on the host
  std::string pointer{};
  bool operator==(const Plan&) const = default;
};

/// Reads the annotations of config.json. Throws Error(spec) for a name that is no file name.
Spec read(const spec::Reader& top);

/// Whether these arguments of the process are for the handler. Pure.
Plan plan(const Spec& spec, const std::vector<std::string>& arguments);

/// The program, checked and on a read-only mount of its own where `rootless` is false: what runs in
/// the container can never write to it by /proc/PID/exe (CVE-2019-5736). Empty without a handler.
/// Throws Error(unsupported) where there is none at the path or it is no static ELF executable.
sys::Fd open_in_parent(const Plan& plan, bool rootless);

/// Which program is executed, where one is.
void explain(const Plan& plan, Explain& out);

}  // namespace tare::handler
