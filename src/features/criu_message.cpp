#include "features/criu_message.hpp"

#include <protozero/pbf_reader.hpp>
#include <protozero/pbf_writer.hpp>

#include "tare/error.hpp"

namespace tare::criu {
namespace {

using protozero::pbf_reader;
using protozero::pbf_writer;

// criu writes all that it does about the dump, but not every page (its own default is 2, errors and
// warnings).
constexpr int kLogLevel = 4;

// criu_req
constexpr protozero::pbf_tag_type kType = 1;
constexpr protozero::pbf_tag_type kOptions = 2;
constexpr protozero::pbf_tag_type kNotifySuccess = 3;
constexpr protozero::pbf_tag_type kKeepOpen = 4;
constexpr protozero::pbf_tag_type kFeatures = 5;

void add_text(pbf_writer& out, protozero::pbf_tag_type tag, const std::string& text) {
  if (!text.empty()) out.add_string(tag, text);
}

void add_number(pbf_writer& out, protozero::pbf_tag_type tag, int number) {
  if (number >= 0) out.add_int32(tag, number);
}

void add_flag(pbf_writer& out, protozero::pbf_tag_type tag, bool flag) {
  if (flag) out.add_bool(tag, true);
}

// Messages of two fields, 1 and 2: ext_mount_map, join_namespace, cgroup_root, inherit_fd.
void add_pair(pbf_writer& out, protozero::pbf_tag_type tag, const std::string& first,
              const std::string& second) {
  pbf_writer pair(out, tag);
  pair.add_string(1, first);
  pair.add_string(2, second);
}

// criu tells a false that was sent from nothing sent, and its file of settings yields to either: so
// what is off is left to that file.
void add_flags(pbf_writer& out, const Options& options) {
  add_flag(out, 3, options.leave_running);
  add_flag(out, 4, options.external_unix_sockets);
  add_flag(out, 5, options.tcp_established);
  add_flag(out, 6, options.evasive_devices);
  add_flag(out, 7, options.shell_job);
  add_flag(out, 8, options.file_locks);
  add_flag(out, 15, options.track_memory);
  add_flag(out, 16, options.auto_dedup);
  add_flag(out, 18, options.link_remap);
  add_flag(out, 26, options.sibling);
  add_flag(out, 46, options.tcp_skip_in_flight);
  add_flag(out, 48, options.lazy_pages);
  add_flag(out, 52, options.tcp_close);
}

void add_lists(pbf_writer& out, const Options& options) {
  for (const auto& [key, value] : options.external_mounts) add_pair(out, 23, key, value);
  for (const auto& [key, number] : options.inherited) {
    pbf_writer pair(out, 27);
    pair.add_string(1, key);
    pair.add_int32(2, number);
  }
  for (const std::string& each : options.external) out.add_string(37, each);
  for (const auto& [name, path] : options.joined_namespaces) add_pair(out, 39, name, path);
}

void add_places(pbf_writer& out, const Options& options) {
  add_text(out, 10, options.log_file);
  if (!options.page_server_address.empty()) {
    pbf_writer server(out, 11);
    server.add_string(1, options.page_server_address);
    server.add_int32(2, options.page_server_port);
  }
  add_text(out, 13, options.root);
  add_text(out, 14, options.parent_images);
  add_number(out, 17, options.work_directory);
  // The controller of cgroup v2's one tree has no name.
  if (!options.cgroup_root.empty()) add_pair(out, 25, "", options.cgroup_root);
  add_text(out, 44, options.freeze_cgroup);
  add_text(out, 51, options.config_file);
  add_text(out, 53, options.lsm_profile);
  add_text(out, 63, options.lsm_mount_context);
}

void add_options(pbf_writer& request, const Options& options) {
  pbf_writer out(request, kOptions);
  out.add_int32(1, options.images_directory);
  add_number(out, 2, options.pid);
  out.add_int32(9, kLogLevel);
  out.add_bool(12, true);  // notify_scripts: tells us how far it is
  out.add_bool(50, true);  // orphan_pts_master: hands over the console's
  out.add_bool(24, true);  // manage_cgroups, for a criu that does not know the mode
  out.add_enum(34, static_cast<int>(options.cgroup_mode));
  add_flags(out, options);
  add_places(out, options);
  add_lists(out, options);
  if (options.empty_namespaces != 0) out.add_uint32(38, options.empty_namespaces);
  if (options.network_lock != NetworkLock::by_default) {
    out.add_enum(64, static_cast<int>(options.network_lock));
  }
}

void read_notification(pbf_reader in, Response& out) {
  while (in.next()) {
    switch (in.tag()) {
      case 1:
        out.script = in.get_string();
        break;
      case 2:
        out.pid = in.get_int32();
        break;
      default:
        in.skip();
    }
  }
}

void read_version(pbf_reader in, Response& out) {
  unsigned parts[] = {0, 0, 0};
  while (in.next()) {
    switch (in.tag()) {
      case 1:
      case 2:
        parts[in.tag() - 1] = static_cast<unsigned>(in.get_int32());
        break;
      case 4:
        parts[2] = static_cast<unsigned>(in.get_int32());
        break;
      default:
        in.skip();
    }
  }
  out.version = parts[0] * 10'000 + parts[1] * 100 + parts[2];
}

void read_features(pbf_reader in, Response& out) {
  while (in.next()) {
    switch (in.tag()) {
      case 1:
        out.features.memory_tracking = in.get_bool();
        break;
      case 2:
        out.features.lazy_pages = in.get_bool();
        break;
      default:
        in.skip();
    }
  }
}

void read_restored(pbf_reader in, Response& out) {
  if (in.next(1)) out.pid = in.get_int32();
}

void read_field(pbf_reader& in, Response& out) {
  switch (in.tag()) {
    case 1:
      out.type = static_cast<RequestType>(in.get_enum());
      return;
    case 2:
      out.success = in.get_bool();
      return;
    case 4:
      return read_restored(in.get_message(), out);
    case 5:
      return read_notification(in.get_message(), out);
    case 7:
      out.error_number = in.get_int32();
      return;
    case 8:
      return read_features(in.get_message(), out);
    case 10:
      return read_version(in.get_message(), out);
    // A later criu may say more: the format is made to be read by those who know less.
    default:
      in.skip();
  }
}

}  // namespace

std::string_view to_string(RequestType type) noexcept {
  switch (type) {
    case RequestType::dump:
      return "DUMP";
    case RequestType::restore:
      return "RESTORE";
    case RequestType::pre_dump:
      return "PRE_DUMP";
    case RequestType::notify:
      return "NOTIFY";
    case RequestType::feature_check:
      return "FEATURE_CHECK";
    case RequestType::version:
      return "VERSION";
  }
  return "EMPTY";
}

std::string encode(RequestType type, const Options& options) {
  std::string bytes;
  pbf_writer request(bytes);
  request.add_enum(kType, static_cast<int>(type));
  add_options(request, options);
  return bytes;
}

std::string encode_version_question() {
  std::string bytes;
  pbf_writer request(bytes);
  request.add_enum(kType, static_cast<int>(RequestType::version));
  request.add_bool(kKeepOpen, true);
  return bytes;
}

std::string encode_feature_question() {
  std::string bytes;
  pbf_writer request(bytes);
  request.add_enum(kType, static_cast<int>(RequestType::feature_check));
  request.add_bool(kKeepOpen, true);
  pbf_writer features(request, kFeatures);
  features.add_bool(1, true);
  features.add_bool(2, true);
  return bytes;
}

std::string encode_notified(bool success) {
  std::string bytes;
  pbf_writer request(bytes);
  request.add_enum(kType, static_cast<int>(RequestType::notify));
  request.add_bool(kNotifySuccess, success);
  return bytes;
}

Response decode(std::string_view bytes) {
  try {
    Response response;
    pbf_reader in(bytes.data(), bytes.size());
    while (in.next()) read_field(in, response);
    return response;
  } catch (const protozero::exception& fault) {
    throw Error(ErrorKind::system,
                std::string("criu answers with no message of its RPC: ") + fault.what());
  }
}

}  // namespace tare::criu
