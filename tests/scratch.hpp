/// What tests need over and over: a directory that goes when the test ends, and a way to say why
/// something cannot be tried here.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>

#include "sys/fd.hpp"
#include "sys/file.hpp"

namespace tare::test {

/// A directory of one test. It is removed with everything in it, without following links.
class Scratch {
 public:
  explicit Scratch(const std::string& parent = usual_parent())
      : path_(made_in(parent)), directory_(sys::open_at(sys::FdRef::cwd(), path_, O_DIRECTORY)) {}
  ~Scratch() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  const std::string& path() const noexcept { return path_; }
  std::string path(std::string_view name) const { return path_ + "/" + std::string(name); }
  sys::FdRef fd() const noexcept { return directory_; }

  /// Makes a file with this content, and gives its path.
  std::string write(const std::string& name, std::string_view content, mode_t mode = 0644) const {
    const sys::Fd file =
        sys::open_at(directory_, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
    sys::write_all(file, content);
    return path(name);
  }
  std::string read(const std::string& name) const { return sys::read_file(directory_, name); }
  bool has(const std::string& name) const { return sys::find_status(directory_, name).has_value(); }

  static std::string usual_parent() {
    const char* parent = std::getenv("TMPDIR");
    return parent != nullptr ? parent : "/tmp";
  }

 private:
  static std::string made_in(const std::string& parent) {
    std::string path = parent + "/tare-test-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) throw std::runtime_error("mkdtemp " + path);
    return path;
  }

  std::string path_;
  sys::Fd directory_;
};

/// Tells why a test tries nothing here; tools/meson-suite counts these lines.
inline void skip(std::string_view reason) {
  std::printf("skipped: %.*s\n", static_cast<int>(reason.size()), reason.data());
  std::fflush(stdout);
}

/// Whether this process is root; says so where it is not, for a test that then returns.
inline bool skip_unless_root() {
  if (::geteuid() == 0) return false;
  skip("needs root");
  return true;
}

}  // namespace tare::test
