#include "sandbox.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>
#include <vector>

#include "sys/credentials.hpp"
#include "sys/file.hpp"
#include "sys/process.hpp"
#include "sys/stream.hpp"
#include "tare/error.hpp"

namespace tare::test {
namespace {

std::string answer_of(const std::function<std::string()>& body) {
  try {
    return body();
  } catch (const Error& error) {
    return "error: " + error.message();
  } catch (const std::exception& error) {
    return std::string("broken test: ") + error.what();
  }
}

void map_ids(pid_t pid) {
  for (const std::string_view file : {"uid_map", "gid_map"}) {
    sys::write_value(sys::FdRef::cwd(), fmt::format("/proc/{}/{}", pid, file), "0 100000 65536\n");
  }
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char letter : text) {
    if (letter == separator) {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  return parts;
}

// The tags of a line of mountinfo without their numbers, from the seventh field up to the "-".
std::string tags_of(const std::vector<std::string>& fields, std::size_t& next) {
  std::string tags;
  for (next = 6; fields.at(next) != "-"; ++next) {
    const std::string name = fields[next].substr(0, fields[next].find(':'));
    if (name == "propagate_from") continue;
    tags += (tags.empty() ? "" : " ") + name;
  }
  return tags;
}

}  // namespace

std::string in_child(std::uint64_t namespaces, const std::function<std::string()>& body) {
  sys::Pipe answer = sys::make_pipe();
  sys::Pipe mapped = sys::make_pipe();
  const sys::Child child = sys::spawn({.namespaces = namespaces}, [&] {
    answer.read_end.reset();
    mapped.write_end.reset();
    (void)sys::read_all(mapped.read_end);
    if ((namespaces & CLONE_NEWUSER) != 0) {
      sys::set_gid(0);
      sys::set_uid(0);
    }
    sys::write_all(answer.write_end, answer_of(body));
    return 0;
  });
  if ((namespaces & CLONE_NEWUSER) != 0) map_ids(child.pid);
  mapped.write_end.reset();
  answer.write_end.reset();
  std::string text = sys::read_all(answer.read_end);
  const sys::ExitStatus ended = sys::wait_for(child.pidfd);
  if (ended.shell_code() != 0) text += fmt::format(" (ended with {})", ended.shell_code());
  return text;
}

std::string on_machine(const std::function<std::string()>& body) {
  return in_child(CLONE_NEWNS, [&] {
    mount("", "/", nullptr, MS_PRIVATE | MS_REC);
    mount("", "/", nullptr, MS_SHARED | MS_REC);
    mount("scratch", std::string(kScratch), "tmpfs", 0);
    return body();
  });
}

void write(const std::string& path, std::string_view text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  const sys::Fd file = sys::open_at(sys::FdRef::cwd(), path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  sys::write_all(file, text);
}

std::string read(const std::string& path) {
  return sys::read_file(sys::FdRef::cwd(), path);
}

void mount(const std::string& source, const std::string& target, const char* type,
           unsigned long flags, const char* data) {
  if (::mount(source.c_str(), target.c_str(), type, flags, data) == 0) return;
  throw std::runtime_error(fmt::format("mount on {}: {}", target, std::strerror(errno)));
}

sys::Fd own_proc() {
  return sys::open_at(sys::FdRef::cwd(), "/proc/self", O_PATH | O_DIRECTORY);
}

Mounted mounted(sys::FdRef proc, std::string_view path) {
  Mounted out;
  for (const std::string& line : split(sys::read_file(proc, "mountinfo"), '\n')) {
    const std::vector<std::string> fields = split(line, ' ');
    if (fields.size() < 10 || fields[4] != path) continue;
    ++out.count;
    std::size_t end = 0;
    out.tags = tags_of(fields, end);
    out.options = "," + fields[5] + ",";
    out.type = fields.at(end + 1);
    out.source = fields.at(end + 2);
    out.superblock = "," + fields.at(end + 3) + ",";
  }
  return out;
}

bool has(const std::string& options, std::string_view option) {
  return options.find("," + std::string(option) + ",") != std::string::npos;
}

std::string mode_of(const std::string& path) {
  struct stat found {};
  if (::lstat(path.c_str(), &found) < 0) return std::strerror(errno);
  return fmt::format("{:o} {}:{}", found.st_mode & 07777U, found.st_uid, found.st_gid);
}

}  // namespace tare::test
