/// process.terminal and process.consoleSize (config.md, "Process"): the container's pseudoterminal,
/// opened in init from the devpts that init itself has made, its slave got by TIOCGPTPEER and bound
/// on /dev/console by descriptor (CVE-2025-52565, CVE-2026-88264). The master goes to the caller.
#pragma once

#include <string>

#include "features/explain.hpp"
#include "features/id_map.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"
#include "sys/path.hpp"

namespace tare::terminal {

struct Spec {
  bool enabled = false;
  unsigned short rows = 0;
  unsigned short columns = 0;
};

struct Plan {
  bool enabled = false;
  unsigned short rows = 0;  ///< 0: the size is left to the caller
  unsigned short columns = 0;
  bool operator==(const Plan&) const = default;
};

/// A pseudoterminal of the container.
struct Pty {
  sys::Fd master{};
  sys::Fd slave{};
  std::string name{};  ///< "/dev/pts/0", as the container sees it
};

/// Reads from the object `process`.
Spec read(const spec::Reader& process);
Plan plan(const Spec& spec);

/// Opens a pty of the container: from `devpts` (the root of the instance mounted by us) where it is
/// given, else from /dev/pts within the root; ptmx is verified to be devpts's own (inode 2, char
/// 5:2), the slave to be a terminal. The mount must be attached, or the slave could not be mounted
/// elsewhere. Throws Error(spec) where /dev/pts is no devpts, Error(system).
Pty open(const Plan& plan, const sys::Root& root, sys::FdRef devpts);
Pty open(const Plan& plan, const sys::Root& root);
/// Binds the slave on the container's /dev/console, made as an empty file by descriptor where
/// missing.
void mount_console(const Pty& pty, const sys::Root& root);
/// Makes the slave the controlling terminal and stdin, stdout, stderr of this (session leader)
/// process, owned by `uid`.
void attach(const Pty& pty, unsigned uid);
void explain(const Plan& plan, Explain& out);

}  // namespace tare::terminal
