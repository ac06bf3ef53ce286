#include "cli/table.hpp"

#include <catch2/catch.hpp>

using tare::cli::as_table;

TEST_CASE("table: a column is as wide as its widest cell and three more, but at least twelve",
          "[table]") {
  CHECK(as_table({{"ID", "PID", "END"}, {"a", "1", "x"}}) ==
        "ID          PID         END\n"
        "a           1           x\n");
  CHECK(as_table({{"ID", "E"}, {"123456789", "x"}}) ==
        "ID          E\n"
        "123456789   x\n");
  CHECK(as_table({{"ID", "E"}, {"1234567890", "x"}}) ==
        "ID           E\n"
        "1234567890   x\n");
}

TEST_CASE("table: characters count, not bytes", "[table]") {
  CHECK(as_table({{"ID", "E"}, {"\u00e5\u00e5\u2603", "x"}}) ==
        "ID          E\n"
        "\u00e5\u00e5\u2603         x\n");
}

TEST_CASE("table: an empty cell keeps its column, and nothing gives nothing", "[table]") {
  CHECK(as_table({{"", "E"}}) == "            E\n");
  CHECK(as_table({}).empty());
}
