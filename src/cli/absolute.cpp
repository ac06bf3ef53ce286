#include "cli/absolute.hpp"

#include <fmt/core.h>

#include "sys/file.hpp"
#include "sys/path.hpp"

namespace tare::cli {
namespace {

bool has_parent_step(std::string_view path) {
  const std::string framed = fmt::format("/{}/", path);
  return framed.find("/../") != std::string::npos;
}

}  // namespace

std::string absolute_from(std::string_view current_directory, std::string_view path) {
  if (path.empty()) return {};
  const std::string whole =
      path[0] == '/' ? std::string(path) : fmt::format("{}/{}", current_directory, path);
  return has_parent_step(path) ? whole : sys::clean_path(whole);
}

std::string absolute(std::string_view path) {
  const bool relative = !path.empty() && path[0] != '/';
  return absolute_from(relative ? sys::current_directory() : "/", path);
}

}  // namespace tare::cli
