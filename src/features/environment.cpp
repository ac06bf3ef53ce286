#include "features/environment.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <set>
#include <span>
#include <string_view>

#include "sys/access.hpp"
#include "sys/file.hpp"
#include "sys/stream.hpp"

namespace tare::environment {
namespace {

// No user's entry lies further in; what lies beyond is not read, so that a passwd of any size costs
// nothing.
constexpr std::size_t kMaxPasswd = 1U << 20U;

// Only the first "=" separates: a value may hold any number of them (environ(7)).
std::string_view name_of(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::string_view value_of(std::string_view variable) {
  return variable.substr(variable.find('=') + 1);
}

// What is wrong with a variable, in runc's words; empty where nothing is.
std::string_view fault_of(std::string_view variable) {
  if (variable.find('=') == std::string_view::npos) {
    return "invalid environment variable: missing '='";
  }
  return variable.front() == '=' ? "invalid environment variable: name cannot be empty" : "";
}

std::string_view fault_of_directory(std::string_view directory) {
  if (directory.empty()) return "Cwd property must not be empty";
  return directory.front() == '/' ? "" : "Cwd must be an absolute path";
}

[[noreturn]] void refuse(std::string_view fault, const char* field) {
  Error error(ErrorKind::spec, std::string(fault));
  error.set_field(field);
  throw error;
}

// The container's own PATH, never tare's: its caller may give tare none, or another one.
std::string_view path_of(const Plan& plan) {
  for (const std::string& variable : plan.variables) {
    if (name_of(variable) == "PATH") return value_of(variable);
  }
  return {};
}

// The first kMaxPasswd bytes of the container's passwd. It is looked at before it is opened:
// opening a device or a FIFO that an image has put there could do anything, and wait for ever.
std::string read_passwd(const sys::Root& root) {
  const std::optional<sys::Fd> entry = root.find("/etc/passwd", O_PATH);
  if (!entry || !S_ISREG(sys::status(*entry).st_mode)) return {};
  const sys::Fd file = root.open("/etc/passwd", O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!S_ISREG(sys::status(file).st_mode)) return {};
  const auto size = static_cast<std::size_t>(sys::status(file).st_size);
  std::string text(std::min(size, kMaxPasswd), '\0');
  std::size_t used = 0;
  while (used < text.size()) {
    const std::size_t got = sys::read_some(file, std::span(text).subspan(used)).value_or(0);
    if (got == 0) break;
    used += got;
  }
  text.resize(used);
  return text;
}

// Field number `index` of a line of passwd(5).
std::string_view field_of(std::string_view line, int index) {
  for (; index > 0; --index) {
    const std::size_t end = line.find(':');
    if (end == std::string_view::npos) return {};
    line.remove_prefix(end + 1);
  }
  return line.substr(0, line.find(':'));
}

// The whole field has to be a number. Taking what is none for 0, as atoi does, would give root the
// home of an entry that is only broken.
bool is_number(std::string_view text, unsigned wanted) {
  unsigned number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc{} && rest == end && number == wanted;
}

// The first entry of a uid counts, as for getpwuid(3).
std::string find_home(std::string_view passwd, unsigned uid) {
  while (!passwd.empty()) {
    const std::size_t end = std::min(passwd.find('\n'), passwd.size());
    const std::string_view line = passwd.substr(0, end);
    const std::string_view home = field_of(line, 5);
    // A NUL would cut HOME short, so that it named another directory.
    const bool usable = !home.empty() && home.find('\0') == std::string_view::npos;
    if (is_number(field_of(line, 2), uid)) return usable ? std::string(home) : "/";
    passwd.remove_prefix(std::min(end + 1, passwd.size()));
  }
  return "/";
}

[[noreturn]] void fail_to_find(const std::string& name, int number, std::string_view why) {
  throw Error::from_errno(number, fmt::format("exec: \"{}\"{}", name, why));
}

// 0, or why Go's exec.LookPath would not take `path`: its stat failed, it is a directory, it may
// not be executed.
int check_program(const std::string& path, const struct stat& found) {
  if (S_ISDIR(found.st_mode)) return EISDIR;
  const int number = sys::check_executable(path);
  // A seccomp filter may forbid faccessat2; the mode then has to do, as it does for Go.
  if (number != ENOSYS && number != EPERM) return number;
  return (found.st_mode & 0111U) != 0 ? 0 : EACCES;
}

// A name with a slash is a path, from the working directory where it is relative (execvp(3)).
std::string check_given_path(const std::string& name) {
  struct stat found {};
  try {
    found = sys::status_of(name);
  } catch (const Error& error) {
    fail_to_find(name, error.errno_value(), ": stat " + name);
  }
  const int number = check_program(name, found);
  // execve(2) says EACCES of a directory, and callers make 126 of that text, which is right.
  if (number == EISDIR) fail_to_find(name, EACCES, ": is a directory");
  if (number != 0) fail_to_find(name, number, "");
  return name;
}

bool is_program(const std::string& path) {
  try {
    return check_program(path, sys::status_of(path)) == 0;
  } catch (const Error&) {
    // Not there, or behind a directory that may not be searched: the next of PATH may have it.
    return false;
  }
}

std::string search(const std::string& name, std::string_view path) {
  for (std::size_t start = 0; !path.empty() && start <= path.size();) {
    const std::size_t end = std::min(path.find(':', start), path.size());
    const std::string directory(end == start ? "." : path.substr(start, end - start));
    std::string candidate = directory + (directory.ends_with('/') ? "" : "/") + name;
    if (is_program(candidate)) {
      // What "" and "." in PATH find depends on the working directory; Go refuses it since 1.19.
      if (candidate.starts_with('/')) return candidate;
      throw Error(
          ErrorKind::system,
          fmt::format("exec: \"{}\": cannot run executable found relative to current directory",
                      name));
    }
    start = end + 1;
  }
  throw Error(ErrorKind::system,
              fmt::format("exec: \"{}\": executable file not found in $PATH", name),
              path.empty() ? "set PATH in process.env, or give the whole path of the program" : "");
}

}  // namespace

Spec read(const spec::Reader& process) {
  Spec spec{.arguments = process.strings_or_none("args"),
            .directory = process.string_or("cwd", "")};
  if (spec.arguments.empty()) throw process.error("args must not be empty");
  const std::string_view fault = fault_of_directory(spec.directory);
  if (!fault.empty()) throw process.error(fault);
  const std::optional<spec::Reader> variables = process.find("env");
  if (!variables) return spec;
  for (const spec::Reader& item : variables->items()) {
    spec.variables.push_back(item.string());
    const std::string_view wrong = fault_of(spec.variables.back());
    if (!wrong.empty()) throw item.error(wrong);
  }
  return spec;
}

Plan plan(const Spec& spec) {
  // Once more, as exec's options add to what was read.
  const std::string_view directory_fault = fault_of_directory(spec.directory);
  if (!directory_fault.empty()) refuse(directory_fault, "/process/cwd");
  Plan plan{.arguments = spec.arguments, .directory = spec.directory, .needs_home = true};
  // From the end, so that the last of a name is the first to be seen: which one a program would
  // find among two is up to its libc (environ(7)).
  std::set<std::string_view> seen;
  // clang 14 cannot compile the std::views::reverse that it asks for.
  // NOLINTNEXTLINE(modernize-loop-convert)
  for (auto variable = spec.variables.rbegin(); variable != spec.variables.rend(); ++variable) {
    const std::string_view fault = fault_of(*variable);
    if (!fault.empty()) refuse(fault, "/process/env");
    if (!seen.insert(name_of(*variable)).second) continue;
    if (name_of(*variable) == "HOME") {
      if (value_of(*variable).empty()) continue;
      plan.needs_home = false;
    }
    plan.variables.push_back(*variable);
  }
  std::reverse(plan.variables.begin(), plan.variables.end());
  return plan;
}

void add_listen_variables(Spec& spec, int count) {
  if (count == 0) return;
  spec.variables.push_back(fmt::format("LISTEN_FDS={}", count));
  spec.variables.emplace_back("LISTEN_PID=1");
}

std::string home_of(const sys::Root& root, unsigned uid) {
  try {
    return find_home(read_passwd(root), uid);
  } catch (const Error&) {
    // An image need not have a passwd that can be read; runc goes on with "/" too.
    return "/";
  }
}

void make_directory_in_init(const Plan& plan, const sys::Root& root) {
  asked_by([] { return "/process/cwd"; },
           [&] {
             in_context([&] { return fmt::format("working directory \"{}\"", plan.directory); },
                        [&] { root.make_directories(plan.directory, 0755); });
           });
}

void enter_directory(const Plan& plan) {
  asked_by(
      [] { return "/process/cwd"; },
      [&] {
        in_context(
            [&] {
              return fmt::format("chdir to cwd (\"{}\") set in config.json failed", plan.directory);
            },
            [&] { sys::change_directory_to(plan.directory); });
        // A descriptor of the host that has leaked makes "/proc/self/fd/N" a working directory
        // outside of the root; only the kernel can tell, by a getcwd(2) that says "(unreachable)".
        try {
          (void)sys::current_directory();
        } catch (const Error& error) {
          if (error.errno_value() != ENOENT) throw;
          throw Error(ErrorKind::system,
                      "current working directory is outside of container mount namespace root -- "
                      "possible container breakout detected");
        }
      });
}

std::string find_executable(const Plan& plan) {
  return asked_by([] { return "/process/args/0"; },
                  [&] {
                    const std::string& name = plan.arguments.front();
                    if (name.find('/') != std::string::npos) return check_given_path(name);
                    return search(name, path_of(plan));
                  });
}

void explain(const Plan& plan, Explain& out) {
  std::string command;
  for (const std::string& argument : plan.arguments) command += fmt::format(" \"{}\"", argument);
  out.add("environment", fmt::format("work in {}, made where it is missing", plan.directory),
          "/process/cwd");
  if (plan.needs_home) out.add("environment", "take HOME from the container's /etc/passwd");
  out.add("environment",
          fmt::format("execute{}, with {} variables", command,
                      plan.variables.size() + (plan.needs_home ? 1U : 0U)),
          "/process/args");
}

}  // namespace tare::environment
