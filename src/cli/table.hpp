/// Tables as runc's callers know them: those of Go's text/tabwriter with a least width of 12 and
/// three spaces between columns.
#pragma once

#include <string>
#include <vector>

namespace tare::cli {

/// The rows as lines. Every column but the last is as wide as its widest cell and three spaces, and
/// at least 12.
std::string as_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace tare::cli
