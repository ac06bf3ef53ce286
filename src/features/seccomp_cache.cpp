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

// All that a compiled filter depends on. Counts stand before what they count, so no two plans have
// the same bytes.
std::string encode(const Plan& plan) {
  std::string out;
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

// The file begins with the plan's length and bytes; what follows is the filter's.
std::string header_of(const std::string& encoded_plan) {
  std::string out;
  put_text(out, encoded_plan);
  return out;
}

// A cache that cannot be read is a cache that has nothing.
std::optional<Filter> find_cached(sys::FdRef cache, const std::string& name,
                                  const std::string& header) {
  try {
    // NOFOLLOW and NONBLOCK: whatever else lies under the name must neither lead away nor block.
    const std::optional<sys::Fd> file =
        sys::find_at(cache, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
    if (!file) return std::nullopt;
    const std::string bytes = sys::read_all(*file, kLargestFile);
    if (!bytes.starts_with(header)) return std::nullopt;
    return Filter::decode(bytes.substr(header.size()));
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

Filter Filter::decode(const std::string& bytes) {
  const Error malformed(ErrorKind::internal, "a compiled seccomp filter is malformed");
  if (!bytes.starts_with(kFilterMagic) || bytes.size() <= kFilterHeader) throw malformed;
  std::uint64_t numbers[2] = {};
  bytes.copy(reinterpret_cast<char*>(numbers), sizeof numbers, kFilterMagic.size());
  Filter filter{.program = bytes.substr(kFilterHeader),
                .flags = static_cast<std::uint32_t>(numbers[0])};
  const std::size_t count = filter.program.size() / sizeof(sock_filter);
  const bool is_whole = filter.program.size() % sizeof(sock_filter) == 0 && count <= BPF_MAXINSNS &&
                        hash_of(filter.program) == numbers[1];
  if (!is_whole) throw malformed;
  return filter;
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

Filter compile_cached(const Plan& plan, sys::FdRef cache) {
  if (!plan.given_program.empty()) return compile(plan);
  const std::string encoded = encode(plan);
  const std::string name = fmt::format("{:016x}", hash_of(encoded));
  const std::string header = header_of(encoded);
  if (std::optional<Filter> cached = find_cached(cache, name, header)) return std::move(*cached);
  Filter filter = compile(plan);
  keep(cache, name, header + filter.encode());
  return filter;
}

}  // namespace tare::seccomp
