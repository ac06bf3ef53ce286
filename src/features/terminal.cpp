#include "features/terminal.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>

#include "sys/describe.hpp"
#include "sys/file.hpp"
#include "sys/mount.hpp"
#include "sys/terminal.hpp"

namespace tare::terminal {
namespace {

constexpr long kDevptsMagic = 0x1cd1;  // DEVPTS_SUPER_MAGIC, linux/magic.h
constexpr ino_t kPtmxInode = 2;        // mknod_ptmx, fs/devpts/inode.c
constexpr unsigned kPtmxMajor = 5;     // TTYAUX_MAJOR, linux/major.h
constexpr unsigned kPtmxMinor = 2;
constexpr unsigned kSlaveMajor = 136;  // UNIX98_PTY_SLAVE_MAJOR, linux/major.h
constexpr mode_t kSlaveMode =
    0620;  // what login(1) gives a terminal: its user's, write(1) may write

void refuse(std::string_view what, const struct stat& found) {
  throw Error(ErrorKind::system,
              fmt::format("{}: inode {}, type {:o}, device {}:{}", what, found.st_ino,
                          found.st_mode & static_cast<mode_t>(S_IFMT), major(found.st_rdev),
                          minor(found.st_rdev)));
}

// The descriptor is looked at, not its name: the name may have been anything until now.
void check_ptmx(sys::FdRef ptmx) {
  const struct stat found = sys::status(ptmx);
  if (sys::filesystem_type(ptmx) != kDevptsMagic || found.st_ino != kPtmxInode ||
      !S_ISCHR(found.st_mode) || found.st_rdev != makedev(kPtmxMajor, kPtmxMinor)) {
    refuse("/dev/pts/ptmx is not devpts's own", found);
  }
}

void check_slave(sys::FdRef slave) {
  const struct stat found = sys::status(slave);
  if (sys::filesystem_type(slave) != kDevptsMagic || !S_ISCHR(found.st_mode) ||
      major(found.st_rdev) != kSlaveMajor) {
    refuse("the slave of the pty is no terminal", found);
  }
}

// The owner may be one that this user namespace does not map; then the terminal is usable as it is,
// by the mode that devpts gave it, and runc goes on as well.
template <std::invocable Body>
void where_permitted(Body&& body) {
  try {
    std::forward<Body>(body)();
  } catch (const Error& error) {
    if (error.errno_value() != EPERM && error.errno_value() != EINVAL) throw;
  }
}

// The group stays what devpts made it: gid=5, where the config says so, is whom write(1) runs as.
void give_to(sys::FdRef slave, unsigned uid) {
  const struct stat found = sys::status(slave);
  if (found.st_uid != uid) {
    where_permitted([&] { sys::change_owner(slave, uid, static_cast<gid_t>(-1)); });
  }
  if ((found.st_mode & 0777U) != kSlaveMode) {
    where_permitted([&] { sys::change_mode(slave, kSlaveMode); });
  }
}

}  // namespace

Spec read(const spec::Reader& process) {
  Spec spec{.enabled = process.boolean_or("terminal", false)};
  const std::optional<spec::Reader> size = process.find("consoleSize");
  // "Runtimes MUST ignore consoleSize if terminal is false or unset" (config.md, "Process").
  if (!size || !spec.enabled) return spec;
  spec.rows = size->at("height").integer<unsigned short>();
  spec.columns = size->at("width").integer<unsigned short>();
  return spec;
}

Plan plan(const Spec& spec) {
  // A terminal without rows or columns has no use: 0 is how callers say that they do not know.
  if (!spec.enabled || spec.rows == 0 || spec.columns == 0) return {.enabled = spec.enabled};
  return {.enabled = true, .rows = spec.rows, .columns = spec.columns};
}

Pty open(const Plan& plan, const sys::Root&, sys::FdRef devpts) {
  if (sys::filesystem_type(devpts) != kDevptsMagic) {
    throw Error(ErrorKind::spec, "/dev/pts is no devpts, from which the terminal could come",
                "mount a devpts on /dev/pts, or set process.terminal to false");
  }
  return in_context([] { return "open a terminal from /dev/pts"; },
                    [&] {
                      // Nobody can make anything in a devpts, and the walk refuses a mount over
                      // ptmx.
                      Pty pty{.master = sys::open_beneath(devpts, "ptmx", O_RDWR | O_NOCTTY)};
                      check_ptmx(pty.master);
                      sys::unlock_pty(pty.master);
                      pty.slave = sys::open_pty_slave(pty.master);
                      check_slave(pty.slave);
                      pty.name = fmt::format("/dev/pts/{}", sys::pty_number(pty.master));
                      if (plan.rows != 0) {
                        sys::set_window_size(pty.master,
                                             {.rows = plan.rows, .columns = plan.columns});
                      }
                      return pty;
                    });
}

Pty open(const Plan& plan, const sys::Root& root) {
  const sys::Fd devpts = root.open("/dev/pts", O_PATH | O_DIRECTORY);
  return open(plan, root, devpts);
}

void mount_console(const Pty& pty, const sys::Root& root) {
  in_context([] { return "mount the terminal on /dev/console"; },
             [&] {
               std::string name;
               const sys::Fd dev = root.parent_of("/dev/console", name);
               sys::make_node(dev, name, S_IFREG | 0600, 0);
               const sys::Fd console = sys::open_at(dev, name, O_PATH | O_NOFOLLOW);
               // What an image has put there as a link leads to some other file of the container,
               // which the terminal would hide (runc refuses it too; CVE-2026-88264).
               const mode_t mode = sys::status(console).st_mode;
               if (S_ISLNK(mode)) sys::raise(ELOOP, "open /dev/console");
               if (S_ISDIR(mode)) sys::raise(EISDIR, "open /dev/console");
               const sys::Fd tree = sys::clone_tree(pty.slave, "", false);
               sys::attach(tree, console);
             });
}

void attach(const Pty& pty, unsigned uid) {
  // First, as a terminal that somebody else has is refused, and stdin, stdout and stderr are then
  // whole.
  sys::control_by_terminal(pty.slave);
  for (const int number : {0, 1, 2}) sys::place(pty.slave, number);
  give_to(pty.slave, uid);
}

void explain(const Plan& plan, Explain& out) {
  if (!plan.enabled) return;
  out.add("terminal", "open a terminal from the container's /dev/pts, bind it on /dev/console",
          "/process/terminal");
  if (plan.rows == 0) return;
  out.add("terminal", fmt::format("make it {} columns by {} rows", plan.columns, plan.rows),
          "/process/consoleSize");
}

}  // namespace tare::terminal
