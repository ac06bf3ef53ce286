/// Compiled filters as bytes, and kept in a directory: what compiling costs is paid once per
/// profile.
#include <fcntl.h>
#include <fmt/core.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <unistd.h>

#include <optional>

#include "features/seccomp_table.hpp"
#include "sys/file.hpp"
#include "sys/heap.hpp"

namespace tare::seccomp {
namespace {

// Raised whenever resolve() or assemble() give another program for the same plan.
constexpr std::uint32_t kCompilerVersion = 3;
constexpr std::string_view kFilterMagic = "tare filter 1\n";
// The longest program is 32 KiB; a profile that names every syscall on its own stays below 64.
constexpr std::size_t kLargestFile = 1U << 20U;
constexpr std::size_t kMostFiles = 128;
// Flags and hash of the program, after the magic.
constexpr std::size_t kFilterHeader = kFilterMagic.size() + 2 * sizeof(std::uint64_t);

void put_number(std::string& out, std::uint64_t number) {
  out.append(reinterpret_cast<const char*>(&number), sizeof number);
}

void put_text(std::string& out, std::string_view text) {
  put_number(out, text.size());
  out += text;
}

void put_rule(std::string& out, const Rule& rule) {
  put_number(out, rule.names.size());
  for (const std::string& name : rule.names) put_text(out, name);
  put_number(out, rule.action);
  put_number(out, rule.arguments.size());
  for (const Argument& argument : rule.arguments) {
    put_number(out, argument.index);
    put_number(out, argument.value);
    put_number(out, argument.value_two);
    put_number(out, static_cast<std::uint64_t>(argument.comparison));
  }
}

// What of a plan's text is no number, and about as much again for the numbers.
std::size_t expected_size(const Plan& plan) {
  std::size_t size = 1024;
  for (const Rule& rule : plan.rules) {
    for (const std::string& name : rule.names) size += name.size() + sizeof(std::uint64_t);
  }
  return size;
}

// What a file of the cache begins with: the size of the rest of it, and all that a compiled filter
// depends on. Counts stand before what they count, so no two plans have the same bytes.
std::string header_of(const Plan& plan) {
  std::string out;
  out.reserve(expected_size(plan));
  put_number(out, 0);
  put_number(out, kCompilerVersion);
  const scmp_version* library = seccomp_version();
  for (const unsigned part : {library->major, library->minor, library->micro})
    put_number(out, part);
  put_number(out, seccomp_arch_native());
  put_number(out, plan.default_action);
  put_number(out, plan.flags);
  put_number(out, plan.architectures.size());
  for (const std::uint32_t token : plan.architectures) put_number(out, token);
  put_number(out, plan.rules.size());
  for (const Rule& rule : plan.rules) put_rule(out, rule);
  const std::uint64_t size = out.size() - sizeof size;
  out.replace(0, sizeof size, reinterpret_cast<const char*>(&size), sizeof size);
  return out;
}

// FNV-1a with words of 64 bits for bytes, folded after each so that high bits count too. It names
// files and finds damage by accident; whoever can write to the cache could write any filter there.
std::uint64_t hash_of(std::string_view bytes) {
  std::uint64_t hash = 0xcbf29ce484222325 ^ bytes.size();
  while (!bytes.empty()) {
    std::uint64_t word = 0;
    bytes.remove_prefix(bytes.copy(reinterpret_cast<char*>(&word), sizeof word));
    hash = (hash ^ word) * 0x100000001b3;
    hash ^= hash >> 32U;
  }
  return hash;
}

// What Filter::encode makes, in its parts.
struct Parts {
  std::uint32_t flags = 0;
  std::string_view program;
};

std::optional<Parts> find_parts(std::string_view bytes) {
  if (!bytes.starts_with(kFilterMagic) || bytes.size() <= kFilterHeader) return std::nullopt;
  std::uint64_t numbers[2] = {};
  bytes.copy(reinterpret_cast<char*>(numbers), sizeof numbers, kFilterMagic.size());
  const std::string_view program = bytes.substr(kFilterHeader);
  const std::size_t count = program.size() / sizeof(sock_filter);
  const bool is_whole = program.size() % sizeof(sock_filter) == 0 && count <= BPF_MAXINSNS &&
                        hash_of(program) == numbers[1];
  if (!is_whole) return std::nullopt;
  return Parts{.flags = static_cast<std::uint32_t>(numbers[0]), .program = program};
}

// A cache that cannot be read is a cache that has nothing.
std::optional<std::string> find_cached(sys::FdRef cache, const std::string& name,
                                       const std::string& header) {
  try {
    // NOFOLLOW and NONBLOCK: whatever else lies under the name must neither lead away nor block.
    const std::optional<sys::Fd> file =
        sys::find_at(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return std::nullopt;
    std::string bytes = sys::read_all(*file, kLargestFile);
    if (!bytes.starts_with(header)) return std::nullopt;
    bytes.erase(0, header.size());
    if (!find_parts(bytes)) return std::nullopt;
    return bytes;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void remove_quietly(sys::FdRef cache, const std::string& name) {
  try {
    sys::remove_file(cache, name);
  } catch (const Error&) {
    // The cache is a gain at best: a fault in it is nobody's concern who starts a container.
    return;
  }
}

// Profiles are few. Whoever makes up a new one for each container must not fill --root with them.
void make_room(sys::FdRef cache) {
  const std::vector<std::string> names = sys::list_directory(cache);
  if (names.size() < kMostFiles) return;
  for (const std::string& name : names) remove_quietly(cache, name);
}

// Written whole under a name of this process's own, then renamed: readers see all or nothing.
void keep(sys::FdRef cache, const std::string& name, const std::string& bytes) {
  const std::string temporary = fmt::format("{}.{}", name, ::getpid());
  try {
    make_room(cache);
    const sys::Fd file = sys::open_at(cache, temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
    sys::write_all(file, bytes);
    sys::rename_file(cache, temporary, name);
  } catch (const Error&) {
    // A full or read-only --root costs the next start a compilation, and this one nothing. What a
    // process left that was killed here goes too, when its pid comes again or room is made.
    remove_quietly(cache, temporary);
  }
}

}  // namespace

std::string Filter::encode() const {
  std::string out(kFilterMagic);
  put_number(out, flags);
  put_number(out, hash_of(program));
  out += program;
  return out;
}

Filter Filter::decode(std::string_view bytes) {
  const std::optional<Parts> parts = find_parts(bytes);
  if (!parts) throw Error(ErrorKind::internal, "a compiled seccomp filter is malformed");
  return {.program = std::string(parts->program), .flags = parts->flags};
}

Filter compile(const Plan& plan) {
  return in_context([] { return "compile the seccomp profile"; },
                    [&] {
                      const bool is_given = !plan.given_program.empty();
                      return Filter{
                          .program = is_given ? plan.given_program : assemble(resolve(plan)),
                          .flags = plan.flags};
                    });
}

std::string compile_cached(const Plan& plan, sys::FdRef cache) {
  if (!plan.given_program.empty()) return compile(plan).encode();
  const std::string header = header_of(plan);
  const std::string name = fmt::format("{:016x}", hash_of(header));
  if (std::optional<std::string> cached = find_cached(cache, name, header)) {
    return std::move(*cached);
  }
  // The maps and lists of Docker's profile.
  constexpr std::size_t kUsual = 128U << 10U;
  sys::make_heap_present(kUsual);
  std::string filter = compile(plan).encode();
  keep(cache, name, header + filter);
  return filter;
}

}  // namespace tare::seccomp
