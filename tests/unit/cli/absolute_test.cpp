#include "cli/absolute.hpp"

#include <catch2/catch.hpp>

using tare::cli::absolute;
using tare::cli::absolute_from;

TEST_CASE("absolute: a relative path lies below the current directory", "[absolute]") {
  CHECK(absolute_from("/here", "bundle") == "/here/bundle");
  CHECK(absolute_from("/here", ".") == "/here");
  CHECK(absolute_from("/here", "./a/") == "/here/a");
  CHECK(absolute_from("/", "a") == "/a");
}

TEST_CASE("absolute: an absolute path is cleaned and else left alone", "[absolute]") {
  CHECK(absolute_from("/here", "/a//b/./c/") == "/a/b/c");
  CHECK(absolute_from("/here", "/") == "/");
}

TEST_CASE("absolute: two dots are left to the kernel, which knows what is a link", "[absolute]") {
  CHECK(absolute_from("/here", "link/../x") == "/here/link/../x");
  CHECK(absolute_from("/here", "..") == "/here/..");
  CHECK(absolute_from("/here", "/a/..") == "/a/..");
  CHECK(absolute_from("/here", "a..b/..c") == "/here/a..b/..c");
}

TEST_CASE("absolute: nothing stays nothing, so that a flag that is empty is a flag not given",
          "[absolute]") {
  CHECK(absolute_from("/here", "").empty());
  CHECK(absolute("").empty());
  CHECK(absolute("/a").substr(0, 2) == "/a");
  CHECK(absolute("a").front() == '/');
}
