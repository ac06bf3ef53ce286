/// A mount's uidMappings and gidMappings, and its options idmap and ridmap: the files of a bind
/// have other owners in the container than on the host (config.md, "Mounts"; mount_setattr(2),
/// "ID-mapped mounts"). Read with mount_options, planned by mounts; done in the parent, which has
/// CAP_SYS_ADMIN over the filesystem, on the clone of a source that nothing can reach yet.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "features/id_map.hpp"
#include "features/namespaces.hpp"
#include "spec/reader.hpp"
#include "sys/fd.hpp"

namespace tare::id_mapped_mounts {

/// The options, for `tare features`.
inline constexpr std::array<std::string_view, 2> kWords = {"idmap", "ridmap"};

/// One mapping: ids of the filesystem to ids of the host.
struct Line {
  id_map::Mapping mapping{};
  /// crun's "@": host_id counts within the container's user namespace.
  bool relative = false;
  bool operator==(const Line&) const = default;
};

struct Spec {
  bool asked = false;      ///< by a field or by a word
  bool recursive = false;  ///< ridmap: all below as well
  std::vector<Line> uids{};
  std::vector<Line> gids{};
  bool operator==(const Spec&) const = default;
};

/// A user namespace that serves one mount or more.
struct Map {
  std::vector<id_map::Mapping> uids{};
  std::vector<id_map::Mapping> gids{};
  std::string path{};  ///< of the one that the container joins; there are no mappings then
  bool operator==(const Map&) const = default;
};

/// What one mount gets.
struct Use {
  std::size_t map = 0;  ///< index into the list of maps
  bool recursive = false;
  bool operator==(const Use&) const = default;
};

/// What the plan depends on besides the mount.
struct Context {
  const namespaces::Plan& namespaces;
  const id_map::Plan& id_map;
  bool rootless = false;
};

/// Reads uidMappings and gidMappings of a mount. Throws Error(spec).
void read_fields(const spec::Reader& mount, Spec& spec);
/// Reads the option `text`, which `item` holds: idmap or ridmap, or crun's form of either,
/// "idmap=uids=0-1-10#10-11-10;gids=@0-0-10". False for any other word. Throws Error(spec).
bool read_word(const spec::Reader& item, std::string_view text, Spec& spec);

/// What the mount gets; a map that is not among `maps` is added to them. Without mappings it is
/// that of the container's user namespace. Throws Error(spec), and Error(unsupported) when
/// rootless.
Use plan(const Spec& spec, const Context& context, std::vector<Map>& maps);

/// The user namespaces of a list of maps; each is made, or opened, when it is first used.
class UserNamespaces {
 public:
  /// The maps must outlive this.
  explicit UserNamespaces(const std::vector<Map>& maps) : maps_(maps), open_(maps.size()) {}
  /// Maps the ids of the detached mount `tree`. Throws Error(system or spec), with a hint where the
  /// filesystem is at fault.
  void apply(const Use& use, sys::FdRef tree);

 private:
  const std::vector<Map>& maps_;
  std::vector<sys::Fd> open_;
};

/// ", ids mapped as in the container", ", ids of it and all below mapped: 10 from ...": a part of a
/// mount's line.
std::string explain(const Use& use, const std::vector<Map>& maps);

}  // namespace tare::id_mapped_mounts
