/// Intent and Record as JSON text, and the JSON that callers and hooks read of a container.
#pragma once

#include <string>
#include <string_view>

#include "tare/record.hpp"

namespace tare::state {

/// As one line of JSON that the functions below read back. It ends with a brace, so that every cut
/// is seen.
std::string to_json(const Intent& intent);
std::string to_json(const Record& record);
/// Throw Error(state) "damaged ..." for anything but what to_json wrote: wrong types, a pid below
/// 1, fields missing.
Intent intent_from_json(const std::string& text);
Record record_from_json(const std::string& text);

/// The state as runtime.md has it, for hooks: ociVersion, id, status, pid, bundle, annotations,
/// compact.
std::string hook_state(const Record& record, Status status);
/// The container process state of config-linux.md ("The Container Process State") for an agent that
/// gets the listener of process `pid`, as the runtime sees it; compact.
std::string container_process_state(const Record& record, Status status, pid_t pid,
                                    const std::string& metadata);
/// The state as `runc state` prints it: indented by two spaces, no newline at the end, pid 0 when
/// stopped, `owner` "" .
std::string printed_state(const State& state);
/// The same as one compact object with the owner filled in ("root", or "#1000"), for `list`.
std::string listed_state(const State& state, const std::string& owner);

}  // namespace tare::state
