// Reads and plans one config.json, for callgrind to count the instructions of: it collects only
// within read_and_plan. The machine is a made-up one, so that the figure is a matter of the program
// alone.
#include <fcntl.h>

#include <cstdio>

#include "features/all.hpp"
#include "spec/reader.hpp"
#include "sys/file.hpp"

// By its C name, which is what callgrind is told.
extern "C" [[gnu::noinline]] std::size_t read_and_plan(const std::string& text) {
  const tare::spec::Document document("config.json", text);
  tare::Spec spec = tare::read_spec(document.top());
  const tare::Host host{.cgroup = {.controllers = {"cpu", "cpuset", "io", "memory", "pids"}}};
  return tare::make_plan(std::move(spec), host, {.id = "counted", .bundle = "/bundle"})
      .mounts.mounts.size();
}

int main(int count, char** words) {
  if (count != 2) return 2;
  try {
    const tare::sys::Fd file = tare::sys::open_at(tare::sys::FdRef::cwd(), words[1], O_RDONLY);
    return read_and_plan(tare::sys::read_all(file)) > 0 ? 0 : 1;
  } catch (const tare::Error& error) {
    std::fprintf(stderr, "%s\n", error.message().c_str());
    return 1;
  }
}
