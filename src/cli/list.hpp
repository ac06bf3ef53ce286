/// How list prints containers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tare/record.hpp"

namespace tare::cli {

/// The name of `uid` in a text like that of passwd(5), or "#1000" without one.
std::string owner_name(uid_t uid, std::string_view passwd);

/// The table of `list`, its heading included.
std::string listed_as_table(const std::vector<State>& states, std::string_view passwd);

/// One line of JSON: an array, or null when there are no containers, as Go prints an empty list.
std::string listed_as_json(const std::vector<State>& states, std::string_view passwd);

}  // namespace tare::cli
